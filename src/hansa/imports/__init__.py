"""Products from files: CSV, JSON Lines and Icecat, streamed into the catalogue in batches (docs/import.md)."""

from hansa.imports.importing import NotImportable as NotImportable
from hansa.imports.importing import Summary as Summary
from hansa.imports.importing import import_products as import_products
from hansa.imports.report import report_beside as report_beside
