"""The OpenAPI document, made from the rows of endpoints and parameters."""
