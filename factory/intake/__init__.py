"""What a customer's file says, row by row, as job orders: JSON, NDJSON, CSV, XLSX."""
