"""The commands of `paperpath`, one file each."""
