"""Ce que les schémas laissent passer, et qu’un serveur refuserait ou qui ne marcherait pas.

Chaque contrôle reçoit les objets d’une installation et rend des phrases, une par défaut.
"""

import copy
import re
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal

INSTALLATIONS = ("overlays/kind", "overlays/production", "overlays/postgres-externe")
# Le grand lot s’ajoute à une installation, comme son en-tête le dit ; la dernière en hérite.
AVEC_ECHELLE = tuple(f"{installation}-echelle" for installation in INSTALLATIONS)
MODELES = ("Deployment", "StatefulSet", "Job", "CronJob", "DaemonSet")
UNITES = {"m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITES |= {f"{u}i": 1024**i for i, u in enumerate("KMGT", 1)}
VOLUMES_ADMIS = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def nom(objet: dict) -> str:
    """« Genre/nom » d’un objet."""
    return f"{objet['kind']}/{objet['metadata']['name']}"


def modele(objet: dict) -> dict | None:
    """Le modèle de pod d’un objet, s’il en a un."""
    if objet["kind"] == "CronJob":
        return objet["spec"]["jobTemplate"]["spec"]["template"]
    return objet["spec"]["template"] if objet["kind"] in MODELES else None


def pods(objets: list[dict]) -> list[tuple[str, dict]]:
    """Les modèles de pod, chacun avec le nom de qui le crée."""
    return [(nom(o), m) for o in objets if (m := modele(o)) is not None]


def conteneurs(pod: dict) -> list[dict]:
    """Tous les conteneurs d’un pod, d’initialisation compris."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def etiquettes(pod: dict) -> dict:
    """Les étiquettes d’un modèle de pod."""
    return pod["metadata"].get("labels", {})


def correspond(selecteur: dict | None, labels: dict) -> bool:
    """Dit si un sélecteur retient ces étiquettes (un sélecteur vide retient tout)."""
    selecteur = selecteur or {}
    assert set(selecteur) <= {"matchLabels"}, "ce contrôle ne lit que matchLabels"
    return selecteur.get("matchLabels", {}).items() <= labels.items()


def quantite(texte: object) -> Decimal:
    """La valeur d’une quantité : « 250m », « 512Mi », « 2 »."""
    lue = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(texte))
    if not lue or (lue[2] and lue[2] not in UNITES):
        raise ValueError(f"« {texte} » n’est pas une quantité")
    return Decimal(lue[1]) * (UNITES[lue[2]] if lue[2] else 1)


def selecteurs(objets: list[dict]) -> Iterator[str]:
    """Chaque sélecteur retient un pod ; celui d’un contrôleur, ses propres pods."""
    tous = [etiquettes(m) for _, m in pods(objets)]
    for objet in objets:
        genre, spec = objet["kind"], objet.get("spec", {})
        if genre in ("Deployment", "StatefulSet", "DaemonSet"):
            if not correspond(spec["selector"], etiquettes(spec["template"])):
                yield f"{nom(objet)} : le sélecteur ne retient pas ses propres pods"
        elif genre == "Service" and spec.get("type") != "ExternalName":
            if not any(correspond({"matchLabels": spec["selector"]}, e) for e in tous):
                yield f"{nom(objet)} : aucun pod derrière ce Service"
        elif genre == "PodDisruptionBudget":
            if not any(correspond(spec["selector"], e) for e in tous):
                yield f"{nom(objet)} : ce budget ne protège aucun pod"
        elif genre == "NetworkPolicy":
            for selecteur in _selecteurs_d_ici(spec):
                if not any(correspond(selecteur, e) for e in tous):
                    yield f"{nom(objet)} : {selecteur} ne retient aucun pod"


def _selecteurs_d_ici(spec: dict) -> Iterator[dict]:
    yield spec["podSelector"]
    for sens, bout in (("ingress", "from"), ("egress", "to")):
        for regle in spec.get(sens, []):
            for pair in regle.get(bout, []):
                if "podSelector" in pair and "namespaceSelector" not in pair:
                    yield pair["podSelector"]


def ressources(objets: list[dict]) -> Iterator[str]:
    """Processeur et mémoire demandés et bornés partout, la demande au plus égale à la borne."""
    for qui, pod in pods(objets):
        for conteneur in conteneurs(pod):
            lues = conteneur.get("resources", {})
            for quoi in ("cpu", "memory"):
                demande, limite = (lues.get(c, {}).get(quoi) for c in ("requests", "limits"))
                ou = f"{qui}, {conteneur['name']} : {quoi}"
                if demande is None or limite is None:
                    yield f"{ou} sans demande ou sans limite"
                elif quantite(demande) > quantite(limite):
                    yield f"{ou} demande {demande}, plus que sa limite {limite}"


def horaires(objets: list[dict]) -> Iterator[str]:
    """Horaires possibles, fuseaux connus, noms assez courts pour les Jobs qu’ils créent."""
    for objet in objets:
        if objet["kind"] != "CronJob":
            continue
        spec = objet["spec"]
        if not _cron(spec["schedule"]):
            yield f"{nom(objet)} : l’horaire « {spec['schedule']} » n’existe pas"
        if spec.get("timeZone") not in zoneinfo.available_timezones():
            yield f"{nom(objet)} : le fuseau « {spec.get('timeZone')} » est inconnu"
        if len(objet["metadata"]["name"]) > 52:
            yield f"{nom(objet)} : plus de 52 caractères"


def _cron(horaire: str) -> bool:
    champs = horaire.split()
    return len(champs) == len(CRON) and all(
        _champ_cron(morceau, *bornes)
        for champ, bornes in zip(champs, CRON, strict=True)
        for morceau in champ.split(",")
    )


def _champ_cron(morceau: str, mini: int, maxi: int) -> bool:
    lu = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", morceau)
    if not lu or lu[3] == "0":
        return False
    nombres = [int(n) for n in lu.groups()[:2] if n is not None]
    return nombres == sorted(nombres) and all(mini <= n <= maxi for n in nombres)


def ports_des_pods(objets: list[dict]) -> Iterator[str]:
    """Ports possibles, de noms différents ; un port nommé par une sonde existe."""
    for qui, pod in pods(objets):
        for conteneur in conteneurs(pod):
            ouverts = conteneur.get("ports", [])
            noms = {p.get("name") for p in ouverts}
            if len(noms) != len(ouverts):
                yield f"{qui}, {conteneur['name']} : ports sans nom ou de même nom"
            for port in ouverts:
                if not 1 <= port["containerPort"] <= 65535:
                    yield f"{qui} : le port {port['containerPort']} n’existe pas"
            for sonde in ("startupProbe", "readinessProbe", "livenessProbe"):
                vise = conteneur.get(sonde, {}).get("httpGet", {}).get("port")
                if isinstance(vise, str) and vise not in noms:
                    yield f"{qui} : {sonde} vise le port « {vise} », que rien n’ouvre"


def ports_des_services(objets: list[dict]) -> Iterator[str]:
    """Ports possibles, qu’un pod ouvre vraiment."""
    for objet in (o for o in objets if o["kind"] == "Service"):
        selecteur = {"matchLabels": objet["spec"].get("selector", {})}
        ouverts = [
            ouvert
            for _, pod in pods(objets)
            if correspond(selecteur, etiquettes(pod))
            for conteneur in conteneurs(pod)
            for ouvert in conteneur.get("ports", [])
        ]
        for port in objet["spec"].get("ports", []):
            if not 1 <= port["port"] <= 65535:
                yield f"{nom(objet)} : le port {port['port']} n’existe pas"
            vise = port.get("targetPort", port["port"])
            if not any(vise in (o.get("name"), o["containerPort"]) for o in ouverts):
                yield f"{nom(objet)} : aucun pod n’ouvre le port « {vise} »"


def entrees(objets: list[dict]) -> Iterator[str]:
    """Une entrée mène à un port qu’un Service nomme."""
    offerts = {
        (o["metadata"]["name"], p["name"])
        for o in objets
        if o["kind"] == "Service"
        for p in o["spec"].get("ports", [])
    }
    for objet in (o for o in objets if o["kind"] == "Ingress"):
        for regle in objet["spec"]["rules"]:
            for chemin in regle["http"]["paths"]:
                vers = chemin["backend"]["service"]
                if (vers["name"], vers["port"].get("name")) not in offerts:
                    yield f"{nom(objet)} : mène à {vers}, qui n’existe pas"


def references(objets: list[dict]) -> Iterator[str]:
    """Chaque Secret, ConfigMap, volume et compte que l’on nomme existe, clé comprise."""
    connus = {(o["kind"], o["metadata"]["name"]): o for o in objets}
    for qui, pod in pods(objets):
        for genre, cite, cles in _cites(pod):
            if (genre, cite) not in connus:
                yield f"{qui} : {genre} « {cite} » n’existe pas"
            elif absentes := cles - set(connus[genre, cite].get("data", {})):
                yield f"{qui} : {genre} « {cite} » n’a pas {sorted(absentes)}"
    for objet in objets:
        if objet["kind"] == "HorizontalPodAutoscaler":
            cible = objet["spec"]["scaleTargetRef"]
            if (cible["kind"], cible["name"]) not in connus:
                yield f"{nom(objet)} : {cible['kind']} « {cible['name']} » n’existe pas"


def _cites(pod: dict) -> Iterator[tuple[str, str, set]]:
    spec = pod["spec"]
    yield "ServiceAccount", spec.get("serviceAccountName", "default"), set()
    for volume in spec.get("volumes", []):
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in sources:
            if "secret" in source:
                lu = source["secret"]
                cles = {i["key"] for i in lu.get("items", [])}
                yield "Secret", lu.get("secretName") or lu.get("name"), cles
            if "configMap" in source:
                lu = source["configMap"]
                yield "ConfigMap", lu["name"], {i["key"] for i in lu.get("items", [])}
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], set()
    for conteneur in conteneurs(pod):
        for source in conteneur.get("envFrom", []):
            if "configMapRef" in source:
                yield "ConfigMap", source["configMapRef"]["name"], set()
            if "secretRef" in source:
                yield "Secret", source["secretRef"]["name"], set()
        for variable in conteneur.get("env", []):
            for cle, genre in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if cle in variable.get("valueFrom", {}):
                    vue = variable["valueFrom"][cle]
                    yield genre, vue["name"], {vue["key"]}


def montages(objets: list[dict]) -> Iterator[str]:
    """Chaque montage a son volume, chaque volume son montage, aucun chemin n’est pris deux fois."""
    for objet in objets:
        if (pod := modele(objet)) is None:
            continue
        demandes = objet["spec"].get("volumeClaimTemplates", [])
        volumes = [v["name"] for v in pod["spec"].get("volumes", [])]
        volumes += [d["metadata"]["name"] for d in demandes]
        servis = set()
        for conteneur in conteneurs(pod):
            poses = conteneur.get("volumeMounts", [])
            servis |= {p["name"] for p in poses}
            chemins = [p["mountPath"] for p in poses]
            if len(set(chemins)) != len(chemins):
                yield f"{nom(objet)}, {conteneur['name']} : un chemin monté deux fois"
        for absent in sorted(servis - set(volumes)):
            yield f"{nom(objet)} : le volume « {absent} » n’existe pas"
        for inutile in sorted(set(volumes) - servis):
            yield f"{nom(objet)} : le volume « {inutile} » ne sert pas"


def pods_restreints(objets: list[dict]) -> Iterator[str]:
    """Le profil « restricted » de Pod Security pour un pod, ni jeton ni variables inutiles."""
    for qui, pod in pods(objets):
        spec = pod["spec"]
        for interdit in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(interdit):
                yield f"{qui} : {interdit}"
        for volume in spec.get("volumes", []):
            if autres := set(volume) - VOLUMES_ADMIS - {"name"}:
                yield f"{qui} : volume de genre {sorted(autres)}"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{qui} : reçoit un jeton dont il ne se sert pas"
        if spec.get("enableServiceLinks") is not False:
            yield f"{qui} : reçoit MLFLOW_PORT=tcp://… (enableServiceLinks)"


def conteneurs_restreints(objets: list[dict]) -> Iterator[str]:
    """Le profil « restricted » pour un conteneur, et une image qu’il ne peut pas modifier."""
    for qui, pod in pods(objets):
        for conteneur in conteneurs(pod):
            propre = pod["spec"].get("securityContext", {}) | conteneur.get("securityContext", {})
            droits = propre.get("capabilities", {})
            fautes = {
                "root possible": propre.get("runAsNonRoot") is not True
                or not propre.get("runAsUser"),
                "sans profil seccomp": propre.get("seccompProfile") != {"type": "RuntimeDefault"},
                "peut gagner des droits": propre.get("allowPrivilegeEscalation") is not False
                or propre.get("privileged"),
                "garde des capacités": droits != {"drop": ["ALL"]},
                "peut écrire dans son image": propre.get("readOnlyRootFilesystem") is not True,
                "prend un port du nœud": any("hostPort" in p for p in conteneur.get("ports", [])),
            }
            for faute, commise in fautes.items():
                if commise:
                    yield f"{qui}, {conteneur['name']} : {faute}"


def repliques_minimales(objets: list[dict]) -> dict[str, int]:
    """Les répliques que garde l’autoscaler, par nom de Deployment."""
    return {
        o["spec"]["scaleTargetRef"]["name"]: o["spec"]["minReplicas"]
        for o in objets
        if o["kind"] == "HorizontalPodAutoscaler"
    }


def ajustements(objets: list[dict]) -> Iterator[str]:
    """L’autoscaler a une plage possible, et personne ne le contredit."""
    minimums = repliques_minimales(objets)
    for objet in objets:
        spec = objet.get("spec", {})
        mini, maxi = spec.get("minReplicas", 1), spec.get("maxReplicas", 1)
        if not 1 <= mini <= maxi:
            yield f"{nom(objet)} : de {mini} à {maxi} répliques"
        fixe = objet["kind"] == "Deployment" and "replicas" in spec
        if fixe and objet["metadata"]["name"] in minimums:
            yield f"{nom(objet)} : « replicas » contredit l’autoscaler à chaque installation"


def noeuds(objets: list[dict]) -> Iterator[str]:
    """Un nœud se vide : chaque pod revient ailleurs, aucun budget ne l’empêche de partir."""
    minimums = repliques_minimales(objets)
    for objet in objets:
        if objet["kind"] == "Pod":
            yield f"{nom(objet)} : un pod seul ne revient pas quand son nœud se vide"
        if objet["kind"] != "PodDisruptionBudget":
            continue
        spec = objet["spec"]
        bornes = [b for b in ("minAvailable", "maxUnavailable") if b in spec]
        if len(bornes) != 1:
            yield f"{nom(objet)} : une borne et une seule, ici {bornes}"
        proteges = [
            minimums.get(o["metadata"]["name"], o["spec"].get("replicas", 1))
            for o in objets
            if o["kind"] in ("Deployment", "StatefulSet")
            and correspond(spec["selector"], etiquettes(o["spec"]["template"]))
        ]
        plus_petit = min(proteges, default=0)
        libres = spec.get("maxUnavailable", plus_petit - spec.get("minAvailable", 0))
        if libres < 1 or plus_petit < 2:
            yield f"{nom(objet)} : aucun nœud ne se viderait"


def mises_a_jour(objets: list[dict]) -> Iterator[str]:
    """Une mise à jour ne coupe rien ; un Job fini s’efface, sans quoi on ne réinstalle pas."""
    for objet in objets:
        spec = objet.get("spec", {})
        if objet["kind"] == "Job" and "ttlSecondsAfterFinished" not in spec:
            yield f"{nom(objet)} : jamais effacé, il empêcherait de réinstaller"
        if objet["kind"] != "Deployment":
            continue
        regle = spec.get("strategy", {})
        sans_coupure = regle.get("rollingUpdate") == {"maxSurge": 1, "maxUnavailable": 0}
        if regle.get("type") != "Recreate" and not sans_coupure:
            yield f"{nom(objet)} : une mise à jour retire une réplique avant d’en ajouter une"
        for conteneur in spec["template"]["spec"]["containers"]:
            absentes = {"startupProbe", "readinessProbe", "livenessProbe"} - set(conteneur)
            if absentes:
                yield f"{nom(objet)} : sans {sorted(absentes)}"


def variables(objets: list[dict]) -> Iterator[str]:
    """Pas deux valeurs pour une variable ; « $(NOM) » est connu du conteneur."""
    cartes = {o["metadata"]["name"]: o.get("data", {}) for o in objets if o["kind"] == "ConfigMap"}
    indexes = {nom(o) for o in objets if o.get("spec", {}).get("completionMode") == "Indexed"}
    for qui, pod in pods(objets):
        for conteneur in conteneurs(pod):
            noms = [v["name"] for v in conteneur.get("env", [])]
            if len(set(noms)) != len(noms):
                yield f"{qui}, {conteneur['name']} : une variable a deux valeurs"
            for source in conteneur.get("envFrom", []):
                noms += cartes.get(source.get("configMapRef", {}).get("name"), {})
            # Kubernetes l’ajoute aux conteneurs d’un Job indexé.
            noms += ["JOB_COMPLETION_INDEX"] if qui in indexes else []
            textes = [*conteneur.get("command", []), *conteneur.get("args", [])]
            if textes and textes[0] in ("sh", "bash"):
                continue  # « $(…) » y est du shell
            for cite in re.findall(r"\$\((\w+)\)", " ".join(textes)):
                if cite not in noms:
                    yield f"{qui}, {conteneur['name']} : $({cite}) n’est pas une variable"


def passe(objets: list[dict], de: dict, vers: dict, port: int) -> bool:
    """Dit si les NetworkPolicies laissent un pod d’ici en joindre un autre d’ici."""
    politiques = [o["spec"] for o in objets if o["kind"] == "NetworkPolicy"]

    def admis(sens: str, bout: str, ici: dict, en_face: dict) -> bool:
        soumises = [
            p
            for p in politiques
            if sens.capitalize() in p["policyTypes"] and correspond(p["podSelector"], ici)
        ]
        return not soumises or any(
            port in [p["port"] for p in regle.get("ports", [])]
            and any(
                "podSelector" in pair
                and "namespaceSelector" not in pair
                and correspond(pair["podSelector"], en_face)
                for pair in regle[bout]
            )
            for p in soumises
            for regle in p.get(sens, [])
        )

    return admis("egress", "to", de, vers) and admis("ingress", "from", vers, de)


CONTROLES = (
    *(selecteurs, ressources, horaires, ports_des_pods, ports_des_services, entrees),
    *(references, montages, pods_restreints, conteneurs_restreints),
    *(ajustements, noeuds, mises_a_jour, variables),
)


def defauts(objets: list[dict]) -> list[str]:
    """Tous les défauts d’une installation."""
    return [defaut for controle in CONTROLES for defaut in controle(copy.deepcopy(objets))]
