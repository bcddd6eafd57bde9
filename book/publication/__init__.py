"""La fabrication du livre : exécuter les notebooks, construire le HTML, le servir."""
