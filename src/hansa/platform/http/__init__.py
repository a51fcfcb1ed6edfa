"""Public HTTP: routes from contracts, problem+json, OpenAPI, idempotency, sessions."""
