"""Mesures de temps et de mémoire : ``make bench``."""
