# Les commandes du projet, les mêmes pour les personnes, l’intégration continue et le README.
# Rien que des chemins relatifs : make ne sait pas lire une cible dont le chemin a une espace.
# Trois réglages : PYTHON, celui qui crée .venv ; PORT, celui de make lab ou de make serve ;
# PORT_MLFLOW, celui de MLflow dans make lab.
# L’aide ci-dessous est faite des « ## » qui suivent les cibles.

MAKEFLAGS += --no-print-directory
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do command -v $$p > /dev/null && echo $$p && break; done)
VENV := .venv/bin/python
VERROUS := $(addprefix local/images/,uv.in demo/requirements.in hub/requirements.in mlflow/requirements.in artefacts/requirements.in) \
	cluster_k8s/pipelines/requirements.in

# Deux suites de tests à la fois : tests/conftest.py dit lesquelles.
DE_FRONT := --numprocesses 2 --dist loadscope

# Du terminal, rien ne règle le Python des étapes ni ses figures : ni modules d’ailleurs, ni langue.
unexport $(filter PYTHON%,$(.VARIABLES)) MPLBACKEND MATPLOTLIBRC VIRTUAL_ENV __PYVENV_LAUNCHER__
export PYTHONUTF8 := 1
# uv et Node.js reconnaissent ce que reconnaît le système, l’autorité d’une entreprise comprise.
export UV_SYSTEM_CERTS ?= true
export NODE_USE_SYSTEM_CA ?= 1

.DEFAULT_GOAL := aide
.PHONY: aide environnement book slides pdf markdown reference temps demo lab serve test lint lock audit bench mesures captures clean check up swarm down test-local k8s-check test-k8s

aide: ## affiche cette liste
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

environnement:
	@command -v "$(PYTHON)" > /dev/null || { \
		echo "Python est introuvable : installez Python 3.11, 3.12 ou 3.13 (sous Debian ou Ubuntu : sudo apt install python3 python3-venv), puis relancez."; \
		exit 1; }
	@"$(PYTHON)" requirements/installer.py

book: environnement ## exécute les notebooks et construit le livre dans _build/html
	@$(VENV) -m publication livre

slides: environnement ## fait les diapositives (45, 35 et 90 minutes) dans _build/diapositives
	@$(VENV) -m publication diapositives

pdf: environnement ## imprime les diapositives et le livre dans _build/pdf (demande Chromium)
	@$(VENV) -m publication pdf

markdown: environnement ## écrit l’exposé à lire, presentation_mlops.md
	@$(VENV) -m publication markdown

reference: environnement ## garde les nombres de la dernière exécution pour l’exposé
	@$(VENV) -m publication reference

temps: environnement ## compare le temps prévu, estimé et mesuré de chaque version
	@$(VENV) -m publication temps

demo: environnement ## joue la démonstration du chapitre 4 et en affiche le bilan
	@$(VENV) -m publication demo

lab: environnement ## ouvre JupyterLab sur les notebooks, avec Postgres et MLflow
	@$(VENV) -m mlops_demo lab $(if $(PORT),--port $(PORT)) $(if $(PORT_MLFLOW),--port-mlflow $(PORT_MLFLOW))

serve: environnement ## sert le livre construit sur cette machine
	@$(VENV) -m publication servir $(if $(PORT),--port $(PORT))

test: environnement ## lance tous les tests
	@$(VENV) -m pytest -m mutants tests/notebooks/mlops_demo/test_mutants.py
	@$(VENV) -m pytest $(DE_FRONT)

test-local: environnement ## essaie local/ pour de vrai, sur un moteur Docker ; COURT=1 : l’essentiel
	@$(VENV) -m pytest -m "local$(if $(COURT), and not lent)" tests/local tests/cluster_k8s

test-k8s: environnement ## vérifie cluster_k8s/ : schémas, sécurité, sauvegarde, service KServe
	@$(VENV) -m pytest $(DE_FRONT) -m k8s tests/cluster_k8s

lint: environnement ## vérifie le style du code et des notebooks
	@$(VENV) -m ruff check
	@$(VENV) -m ruff format --check
	@$(VENV) -m pytest -qq -p no:cacheprovider tests/test_depot.py -k un_notebook

audit: environnement ## cherche les failles publiées des dépendances (demande le réseau)
	@$(VENV) requirements/auditer.py

lock: environnement ## recalcule les verrous de requirements d’après pyproject.toml et npm.in
	@.venv/bin/uv pip compile --quiet pyproject.toml --extra dev --universal --no-strip-extras \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/lock.txt
	@.venv/bin/uv pip compile --quiet requirements/npm.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/npm.txt
	@# Sans aiodns ni pycares : leur cache d’adresses survit à un conteneur relancé.
	@for entree in $(VERROUS); do \
		.venv/bin/uv pip compile --quiet "$$entree" --constraint requirements/lock.txt \
			--override requirements/ecarts.txt --no-emit-package aiodns --no-emit-package pycares \
			--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			-o "$${entree%.in}.txt" || exit 1; \
	done
	@# Airflow et Superset : l’index tel qu’il était à leur publication, à défaut de leurs contraintes.
	@for outil in "airflow 2026-09-30" "superset 2026-05-14"; do \
		set -- $$outil; \
		.venv/bin/uv pip compile --quiet local/images/$$1/requirements.in --exclude-newer $$2 \
			--python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			-o local/images/$$1/requirements.txt || exit 1; \
	done
	@for dossier in local cluster_k8s github; do \
		.venv/bin/uv pip compile --quiet tests/$$dossier/outils.in --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-header -o tests/$$dossier/outils.txt || exit 1; \
	done
	@.venv/bin/uv pip compile --quiet cluster_k8s/images/mlserver/requirements.in --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header \
		-o cluster_k8s/images/mlserver/requirements.txt

bench: environnement ## mesure les temps et la mémoire, en tableaux (une dizaine de minutes)
	@$(VENV) -m benchmarks

mesures: environnement ## mesure les pages avec Lighthouse et axe-core, dans book/mesures.json
	@$(VENV) -m publication mesures

captures: environnement ## prend les écrans des outils lancés par make up (profils airflow, superset)
	@$(VENV) -m publication captures

# Ces commandes ne demandent que Docker et un Python du système.
check: ## vérifie Docker, la mémoire, le disque et les ports avant make up
	@"$(PYTHON)" local/lancer.py verifier

up: ## construit et lance les outils sur cette machine, avec Docker Compose
	@"$(PYTHON)" local/lancer.py demarrer

swarm: ## construit et déploie les mêmes outils avec Docker Swarm
	@"$(PYTHON)" local/lancer.py essaim

down: ## arrête les outils ; DATA=1 efface aussi leurs données
	@"$(PYTHON)" local/lancer.py arreter $(if $(DATA),--donnees)

k8s-check: ## vérifie le cluster Kubernetes et prépare les Secrets, avant kubectl apply -k
	@"$(PYTHON)" cluster_k8s/verifier.py

# La base lancée par root vit hors du dépôt : le paquet seul sait l’arrêter et l’effacer.
# mlops-demo est la dernière chose qu’installe requirements/installer.py.
clean: ## supprime ce qui a été construit, les caches et la base de la démonstration
	@etat=0; \
	if [ -x .venv/bin/mlops-demo ] && [ -x $(VENV) ]; then $(VENV) -m mlops_demo nettoyer || etat=$$?; fi; \
	rm -rf _build .pytest_cache .ruff_cache .hypothesis; \
	find . -path ./.venv -prune -o -path ./.git -prune -o -type d \
		\( -name __pycache__ -o -name .ipynb_checkpoints -o -name .virtual_documents \) -prune -exec rm -rf {} +; \
	exit $$etat
