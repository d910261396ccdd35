"""From mail.yaml to a generation: load, schema, model, rules, compile, activate.

The only part of Paperpath that reads YAML; the programs read what it compiles.  `watch` is the
program: it follows the YAML file, nobody connects to it, and it may write STATE/generations and
nothing else.
"""
