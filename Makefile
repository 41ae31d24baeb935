# Thin aliases. Every target does its own set-up; the first one makes .venv.
#
#   make test ARGS="-k add"        extra arguments for pytest
#   make parity TORCH_SPEC=... PIP_ARGS="--index-url ..."
#   make test WERROR=0             warnings are only shown

PYTHON     ?= python3
PIP_ARGS   ?=
TORCH_SPEC ?= torch==2.13.0
ARGS       ?=
WERROR     ?= 1

comma  := ,
PY     := .venv/bin/python
PARITY := .venv-parity/bin/python
PIP    := -m pip install -q --disable-pip-version-check $(PIP_ARGS)
SOURCE := $(shell git ls-files 'csrc/*.[ch]' 'tests/*.[ch]' 'benchmarks/*.[ch]' 2>/dev/null)

export MINDTORCH_WERROR := $(filter-out 0,$(WERROR))

.PHONY: build test ctest demo parity sanitize isas threads bench stubs docs fmt lint clean distclean

build: .venv/ready
	$(PY) -m csrc.build

test: build
	$(PY) -m pytest $(ARGS)

ctest: build
	$(PY) -m pytest tests/test_c.py $(ARGS)

demo: .venv/ready-examples build
	$(PY) examples/train_digits.py $(ARGS)

parity: .venv-parity/ready
	$(PARITY) -m csrc.build
	$(PARITY) -m pytest tests/parity $(ARGS)

# The suite under AddressSanitizer and UBSan, in a build of its own.
sanitize: .venv/ready
	MINDTORCH_SANITIZE=address,undefined $(PY) tests/sanitized.py $(ARGS)

# The suite once per instruction set (one that this CPU lacks is named and left out), and with one
# and two threads.
isas: build
	for isa in baseline avx2 avx512; do \
	    MINDTORCH_ISA=$$isa $(PY) -m pytest -q $(ARGS) || exit 1; done

threads: build
	for n in 1 2; do OMP_NUM_THREADS=$$n $(PY) -m pytest -q $(ARGS) || exit 1; done

bench: build
	for script in startup ops_overhead training_step; do $(PY) benchmarks/$$script.py || exit 1; done

stubs: .venv/ready
	$(PY) -m csrc.build --gen

# The operator reference: build/docs/README.md is its index.
docs: .venv/ready
	$(PY) -m csrc.gen --docs build/docs

fmt: .venv/ready-lint
	.venv/bin/clang-format -i $(SOURCE)
	$(PY) -m ruff check -q --fix-only .
	$(PY) -m ruff format -q .

lint: .venv/ready-lint
	.venv/bin/clang-format --dry-run -Werror $(SOURCE)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

clean:
	rm -rf build dist python/mindtorch_v2/_C.*.so python/*.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-parity

# Environments. csrc.build --check says in one line what the machine lacks.
.venv/ready .venv-parity/ready: pyproject.toml setup.py
	@command -v $(PYTHON) >/dev/null || { echo "mindtorch_v2 needs Python 3.10 or newer (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -m csrc.build --check
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP) 'setuptools>=77'
	$(@D)/bin/python $(PIP) --no-build-isolation -e '.[test$(if $(filter .venv-parity/%,$@),$(comma)examples)]'
	$(if $(filter .venv-parity/%,$@),$(@D)/bin/python $(PIP) '$(TORCH_SPEC)')
	@touch $@

.venv/ready-%: .venv/ready
	$(PY) $(PIP) --no-build-isolation -e '.[$*]'
	@touch $@
