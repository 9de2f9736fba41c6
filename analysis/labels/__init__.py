"""Which labels are suspect, and what other taggers say of them."""
