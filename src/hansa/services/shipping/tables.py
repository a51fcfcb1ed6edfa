"""What shipping keeps: nothing of its own, since rates and address rules are files."""

from hansa.platform.database.platform_tables import service_metadata

METADATA = service_metadata()
