.PHONY: bench
bench: $(VENV)/.ready  ## Paperpath beside Postfix, Exim, OpenSMTPD, chasquid: BENCH="--quick --only paperpath,postfix --write"
	@$(VENV)/bin/python -m bench.run $(BENCH)
