"""From mail.yaml to a generation: load, schema, model, rules, compile, activate.

The only part of Paperpath that reads YAML; the programs read what it compiles.
"""
