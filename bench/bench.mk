.PHONY: bench microbench profiles
bench: $(VENV)/.ready-bench  ## Paperpath beside Postfix, Exim, OpenSMTPD, chasquid: BENCH="--quick --only paperpath,postfix --write"
	@$(VENV)/bin/python -m bench.run $(BENCH)

microbench: $(VENV)/.ready-bench  ## the hot functions against their recorded figures: MICROBENCH=--record writes them
	@$(VENV)/bin/python -m bench.microbench $(MICROBENCH)

# its files outside of a container: the image's loader finds the image's libraries, and the image's Python its own
UNPACKED := $(CURDIR)/build/bench/image
.PHONY: image-python
image-python: image  ## the image's Python, unpacked for make bench BENCH="--python build/bench/image/python"
	@rm -rf $(UNPACKED) && mkdir -p $(UNPACKED)
	@name=$$($(PODMAN) create --no-healthcheck $(IMAGE)) && $(PODMAN) export $$name | tar -x -C $(UNPACKED) && $(PODMAN) rm $$name >/dev/null
	@printf '%s\n' '#!/bin/sh' 'export PYTHONHOME=$(UNPACKED)/usr' \
	  'exec $(UNPACKED)/usr/lib64/ld-linux*.so.* --library-path $$(echo $(UNPACKED)/usr/lib/*-linux-gnu) $(UNPACKED)/usr/bin/python3 "$$@"' \
	  >$(UNPACKED)/python && chmod 755 $(UNPACKED)/python

profiles: $(VENV)/.ready-bench  ## flame graphs of the programs under load into docs/performance: PROFILES="--seconds 10"
	@$(VENV)/bin/python -m bench.profiles $(PROFILES)

$(VENV)/.ready-bench: $(VENV)/.ready-dev requirements/bench.txt
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@
