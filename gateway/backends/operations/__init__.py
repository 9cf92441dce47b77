"""What runs long on stores: one file for each kind of work, and `operating`, which begins, takes up again and ends them."""
