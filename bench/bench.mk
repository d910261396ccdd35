.PHONY: bench microbench profiles
bench: $(VENV)/.ready-bench  ## Paperpath beside Postfix, Exim, OpenSMTPD, chasquid: BENCH="--quick --only paperpath,postfix --write"
	@$(VENV)/bin/python -m bench.run $(BENCH)

microbench: $(VENV)/.ready-bench  ## the hot functions against their recorded figures: MICROBENCH=--record writes them
	@$(VENV)/bin/python -m bench.microbench $(MICROBENCH)

profiles: $(VENV)/.ready-bench  ## flame graphs of the programs under load into docs/performance: PROFILES="--seconds 10"
	@$(VENV)/bin/python -m bench.profiles $(PROFILES)

$(VENV)/.ready-bench: $(VENV)/.ready-dev requirements/bench.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@
