"""Where instances rest or go: `base` is the protocol, `catalog` the names, the others implement it."""
