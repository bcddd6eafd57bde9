"""Vérifie le cluster et prépare les Secrets, avant « kubectl apply -k » : make k8s-check.

Bibliothèque standard seulement. Les mots de passe sont tirés au hasard une fois, dans
cluster_k8s/secrets, que git ignore ; s’ils manquent ici mais sont déjà dans le cluster, ils en sont
relus : en tirer d’autres fermerait la base.
"""

import base64
import json
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

DOSSIER = Path(__file__).resolve().parent / "secrets"
ESPACE = "mlops"
# Celles contre lesquelles les objets sont vérifiés ; preStop.sleep demande la première.
MINIMUM, MAXIMUM = (1, 34), (1, 37)
MEMOIRE_GIO, PROCESSEURS = 5.0, 2.0


class Probleme(Exception):
    """Ce que l’utilisateur peut corriger, dit en une phrase."""


def kubectl(*arguments: str, erreur: str = "") -> str:
    """Lance kubectl et rend ce qu’il écrit.

    Raises:
        Probleme: s’il échoue, avec la phrase donnée.
    """
    commande = ["kubectl", "--request-timeout=15s", *arguments]
    fait = subprocess.run(commande, capture_output=True, text=True, encoding="utf-8", check=False)
    if fait.returncode:
        plainte = fait.stderr.strip().splitlines()
        raise Probleme(f"{erreur} ({plainte[-1] if plainte else 'kubectl a échoué'})")
    return fait.stdout


def version(texte: str) -> tuple[int, int]:
    """Les deux premiers nombres d’une version : « v1.36.1+k3s1 » donne (1, 36)."""
    majeure, mineure = re.search(r"(\d+)\.(\d+)", texte).groups()
    return int(majeure), int(mineure)


def quantite(texte: str) -> float:
    """La valeur d’une quantité de Kubernetes : « 500m », « 16Gi », « 4 »."""
    nombre, unite = re.fullmatch(r"(\d+)(\w*)", texte).groups()
    puissances = {"m": 1e-3, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    return int(nombre) * puissances[unite]


def verifier_kubectl() -> str:
    """kubectl est là, et assez récent pour Kustomize et nos objets."""
    if not shutil.which("kubectl"):
        raise Probleme(
            "kubectl est introuvable : installez-le, dans une version proche de celle du cluster."
        )
    lue = json.loads(kubectl("version", "--client", "-o", "json", erreur="kubectl ne répond pas"))
    client = lue["clientVersion"]["gitVersion"]
    if version(client) < (1, 32):
        raise Probleme(f"kubectl {client} est trop ancien : il faut la version 1.32 au moins.")
    return f"kubectl {client}"


def verifier_contexte() -> str:
    """Un contexte est choisi."""
    contexte = kubectl(
        "config",
        "current-context",
        erreur="Aucun cluster choisi : « kubectl config use-context <nom> », ou créez-en un avec "
        "« kind create cluster »",
    ).strip()
    return f"contexte : {contexte}"


def verifier_serveur() -> str:
    """Le serveur répond, dans une version que nous avons vérifiée."""
    lue = kubectl(
        *("version", "-o", "json"),
        erreur="Le cluster ne répond pas : est-il démarré, et votre réseau y mène-t-il ?",
    )
    serveur = json.loads(lue)["serverVersion"]["gitVersion"]
    if version(serveur) < MINIMUM:
        raise Probleme(f"Kubernetes {serveur} est trop ancien : il faut la version 1.34 au moins.")
    suite = "" if version(serveur) <= MAXIMUM else ", plus récente que celles que nous vérifions"
    return f"Kubernetes {serveur}{suite}"


def verifier_droits() -> str:
    """Le compte peut installer."""
    for verbe, quoi in (("create", "namespaces"), ("create", "networkpolicies")):
        try:
            kubectl("auth", "can-i", verbe, quoi, "-n", ESPACE)
        except Probleme:
            raise Probleme(
                f"Votre compte ne peut pas « {verbe} {quoi} » : demandez ce droit, ou que "
                "l’administrateur du cluster installe."
            ) from None
    return "droits : installer est permis"


def verifier_noeuds() -> str:
    """Les nœuds prêts ont assez de place."""
    noeuds = json.loads(kubectl("get", "nodes", "-o", "json", erreur="Les nœuds ne se lisent pas"))
    prets = [
        n["status"]["allocatable"]
        for n in noeuds["items"]
        if not n["spec"].get("unschedulable")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])
    ]
    memoire = sum(quantite(n["memory"]) for n in prets) / 2**30
    processeurs = sum(quantite(n["cpu"]) for n in prets)
    if memoire < MEMOIRE_GIO or processeurs < PROCESSEURS:
        raise Probleme(
            f"Les nœuds prêts offrent {processeurs:.0f} processeurs et {memoire:.1f} Gio : il en "
            f"faut {PROCESSEURS:.0f} et {MEMOIRE_GIO:.0f}. Donnez-en plus à votre cluster."
        )
    nombre = f"{len(prets)} nœud{'s' if len(prets) > 1 else ''}"
    return f"{nombre}, {processeurs:.0f} processeurs, {memoire:.1f} Gio"


def verifier_volumes() -> str:
    """Une classe de stockage par défaut fera les volumes."""
    lue = json.loads(kubectl("get", "storageclass", "-o", "json", erreur="Stockage illisible"))
    cle = "storageclass.kubernetes.io/is-default-class"
    for classe in lue["items"]:
        if classe["metadata"].get("annotations", {}).get(cle) == "true":
            return f"volumes : classe {classe['metadata']['name']} ({classe['provisioner']})"
    raise Probleme(
        "Aucune classe de stockage par défaut : sans elle, les volumes ne se créent pas. Voyez "
        "« kubectl get storageclass », et annotez-en une : "
        f"kubectl annotate storageclass <nom> {cle}=true"
    )


def verifier_mesures() -> str:
    """metrics-server mesure les pods ; sans lui, tout marche sauf l’ajustement des répliques."""
    try:
        kubectl("get", "apiservice", "v1beta1.metrics.k8s.io")
    except Probleme:
        return (
            "metrics-server manque : le service gardera son nombre de répliques (avec kind, "
            "installez-le avec l’option --kubelet-insecure-tls)"
        )
    return "metrics-server répond"


def noms_des_secrets() -> dict[str, list[str]]:
    """Les fichiers de chaque Secret, lus dans kustomization.yaml."""
    texte = (DOSSIER / "kustomization.yaml").read_text(encoding="utf-8")
    trouves: dict[str, list[str]] = {}
    for bloc in re.split(r"(?m)^  - name: ", texte)[1:]:
        trouves[bloc.split()[0]] = re.findall(r"\b((?:mot_de_passe|cle)_\w+)", bloc)
    return trouves


def preparer_secrets() -> str:
    """Relit du cluster les secrets qui y sont déjà, tire au hasard ceux qui ne sont nulle part.

    Raises:
        Probleme: si le cluster en a qui ne se lisent pas, ou d’autres que ceux d’ici.
    """
    crees = relus = 0
    for secret, fichiers in noms_des_secrets().items():
        la_bas = _dans_le_cluster(secret)
        for nom in fichiers:
            fichier = DOSSIER / nom
            if nom in la_bas:
                if not fichier.exists():
                    _ecrire(fichier, la_bas[nom])
                    relus += 1
                elif fichier.read_text(encoding="utf-8") != la_bas[nom]:
                    raise Probleme(
                        f"cluster_k8s/secrets/{nom} n’est pas celui du cluster : les outils n’y "
                        "entreraient plus. Effacez ce fichier pour reprendre celui du cluster."
                    )
            elif not fichier.exists():
                _ecrire(fichier, secrets.token_urlsafe(32))
                crees += 1
    if not crees and not relus:
        return "secrets : prêts, dans cluster_k8s/secrets"
    return f"secrets : {crees} tirés au hasard, {relus} relus du cluster (à sauvegarder)"


def _dans_le_cluster(secret: str) -> dict[str, str]:
    lu = kubectl(
        *("get", "secret", secret, "-n", ESPACE, "--ignore-not-found", "-o", "json"),
        erreur=f"le Secret {secret} du cluster ne se lit pas",
    )
    donnees = json.loads(lu).get("data", {}) if lu.strip() else {}
    return {nom: base64.b64decode(valeur).decode() for nom, valeur in donnees.items()}


def _ecrire(fichier: Path, valeur: str) -> None:
    fichier.touch(mode=0o600)
    fichier.write_text(valeur, encoding="utf-8")


ETAPES = (
    *(verifier_kubectl, verifier_contexte, verifier_serveur, verifier_droits),
    *(verifier_noeuds, verifier_volumes, verifier_mesures, preparer_secrets),
)


def principal() -> int:
    """Vérifie tout, dans l’ordre ; s’arrête à ce qui empêche d’installer."""
    for sortie in (sys.stdout, sys.stderr):
        sortie.reconfigure(errors="replace")  # un terminal en Latin-1 n’a ni ✓ ni ’
    for etape in ETAPES:
        try:
            print(f"✓ {etape()}", flush=True)
        except Probleme as probleme:
            print(f"Erreur : {probleme}", file=sys.stderr)
            return 1
    print("\nPour installer : kubectl apply -k cluster_k8s/overlays/kind (un portable), ou")
    print("                 kubectl apply -k cluster_k8s/overlays/production")
    return 0


if __name__ == "__main__":
    sys.exit(principal())
