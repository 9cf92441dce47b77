"""What searches cost in a large store: a made-up hospital of up to a million instances, and a gateway that is asked about it."""
