"""Who knows which hosts are alive; one module for each source."""
