"""SMS through a gateway that speaks SMPP 3.4."""
