"""Make the OpenAPI document from the rows of endpoints and parameters."""
