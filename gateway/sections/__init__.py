"""The tables of the settings; `gateway.config` reads them."""
