"""The supervisor: keeps the programs of one table running."""
