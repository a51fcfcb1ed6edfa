"""Every statement on what products keep: what everybody may see, whole products, writing, and availability."""
