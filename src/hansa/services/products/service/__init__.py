"""The catalogue's use cases."""

from hansa.services.products.service.products import ProductsService as ProductsService
