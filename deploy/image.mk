# The container image and the container; part of the Makefile.
IMAGE ?= localhost/paperpath:latest
BASE ?= docker.io/library/debian:trixie-slim
ARCH ?= $(shell uname -m)
SETTINGS = CONTAINERS_CONF=$(CURDIR)/deploy/containers.conf
PODMAN = $(SETTINGS) podman

# the wheels of one architecture, by the lock file's hashes: the build itself needs no PyPI
WHEELS = build/wheels/.$(ARCH)
GLIBC = 5 12 17 24 26 27 28 31 34 35 36 39

.PHONY: image sbom audit up down wheels

wheels: $(WHEELS)  ## download the image's wheels: ARCH=x86_64 or aarch64

$(WHEELS): requirements/run.txt | $(VENV)/.ready
	@mkdir -p build/wheels
	@rm -f build/wheels/*_$(ARCH).whl build/wheels/*-none-any.whl
	@$(VENV)/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
	  --implementation cp --python-version 3.13 --abi cp313 --abi abi3 --abi none \
	  --platform manylinux2014_$(ARCH) $(GLIBC:%=--platform manylinux_2_%_$(ARCH)) \
	  --dest build/wheels --requirement requirements/run.txt
	@touch $@

image: $(WHEELS)  ## build the image localhost/paperpath:latest
	@bash .ci/packages image
	@$(PODMAN) image exists $(BASE) || $(PODMAN) pull --quiet $(BASE) || $(SETTINGS) bash deploy/base-image.sh $(BASE)
	@echo building $(IMAGE)
	@$(PODMAN) build --quiet --format docker --file Containerfile --tag $(IMAGE) \
	  --build-arg BASE=$(BASE) \
	  --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' appliance/__init__.py) \
	  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	  --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) .

sbom:             ## the image's bill of materials (CycloneDX) as build/sbom.cdx.json
	@mkdir -p build
	@$(PODMAN) run --rm --network none --entrypoint python3 $(IMAGE) -c 'print(open("/usr/share/doc/paperpath/sbom.cdx.json").read(), end="")' >build/sbom.cdx.json
	@echo build/sbom.cdx.json

audit: build/audit/.ready sbom  ## known holes in what we depend on: exit status 1 some, 3 not everybody could be asked
	@$(SETTINGS) build/audit/bin/python deploy/audit.py build/sbom.cdx.json $(BASE)

build/audit/.ready: requirements/audit.txt
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

up:               ## start the container with config/ mounted and port 127.0.0.1:2525 published
	@$(PODMAN) run --detach --replace --name paperpath --read-only --cap-drop=all --security-opt=no-new-privileges \
	  --stop-timeout=40 --publish 127.0.0.1:2525:2525 \
	  --volume "$(CURDIR)/config:/etc/paperpath:ro,z" --volume paperpath-state:/var/lib/paperpath $(IMAGE)

down:             ## stop the container; its state stays in the volume paperpath-state
	@$(PODMAN) stop --ignore paperpath
	@$(PODMAN) rm --ignore paperpath
