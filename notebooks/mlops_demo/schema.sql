-- Tables de travail de la démonstration, dans le schéma de chaque utilisateur.
-- Les tables de données (vols, météo…) sont écrites d’après contrat.yaml.

CREATE FUNCTION minutes(hhmm smallint) RETURNS integer IMMUTABLE PARALLEL SAFE
    RETURN hhmm / 100 * 60 + hhmm % 100;

CREATE TABLE chargements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    table_cible text NOT NULL,
    lignes_recues integer NOT NULL CHECK (lignes_recues >= 0),
    lignes_chargees integer NOT NULL CHECK (lignes_chargees BETWEEN 0 AND lignes_recues),
    decision text NOT NULL CHECK (decision IN ('accepté', 'refusé')),
    motifs text[] NOT NULL,
    charge_le timestamptz NOT NULL DEFAULT now(),
    CHECK (decision = 'accepté' OR (lignes_chargees = 0 AND cardinality(motifs) > 0))
);

CREATE TABLE quarantaine (
    chargement_id bigint NOT NULL REFERENCES chargements,
    ligne integer NOT NULL,
    table_cible text NOT NULL,
    motifs text[] NOT NULL CHECK (cardinality(motifs) > 0),
    contenu jsonb NOT NULL,
    PRIMARY KEY (chargement_id, table_cible, ligne)
);

CREATE TABLE campagnes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scenario text NOT NULL,
    auteur text NOT NULL,
    ouverte_le timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE predictions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campagne_id bigint NOT NULL REFERENCES campagnes ON DELETE CASCADE,
    canal text NOT NULL CHECK (canal IN ('lot', 'http')),
    flight_id bigint NOT NULL,
    version_modele integer NOT NULL CHECK (version_modele > 0),
    probabilite double precision NOT NULL CHECK (probabilite BETWEEN 0 AND 1),
    predit_le timestamptz NOT NULL DEFAULT now(),
    -- Par HTTP : la demande, et le rang du vol dans celle-ci. Le service peut livrer deux fois la
    -- même demande (après une panne) ; elle n’est écrite qu’une.
    demande uuid,
    rang integer CHECK (rang > 0),
    CHECK ((canal = 'http') = (demande IS NOT NULL) AND (demande IS NULL) = (rang IS NULL))
);
CREATE INDEX ON predictions (campagne_id, flight_id);
CREATE UNIQUE INDEX predictions_une_fois ON predictions (demande, rang) WHERE demande IS NOT NULL;

CREATE TABLE mesures (
    campagne_id bigint NOT NULL REFERENCES campagnes ON DELETE CASCADE,
    mois date NOT NULL,
    version_modele integer NOT NULL CHECK (version_modele > 0),
    vols integer NOT NULL CHECK (vols > 0),
    etiquetes integer NOT NULL CHECK (etiquetes BETWEEN 1 AND vols),
    taux_observe double precision NOT NULL CHECK (taux_observe BETWEEN 0 AND 1),
    proba_moyenne double precision NOT NULL CHECK (proba_moyenne BETWEEN 0 AND 1),
    biais double precision NOT NULL,
    auc double precision NOT NULL CHECK (auc BETWEEN 0 AND 1),
    log_loss double precision NOT NULL CHECK (log_loss >= 0),
    brier double precision NOT NULL CHECK (brier BETWEEN 0 AND 1),
    brier_skill double precision NOT NULL CHECK (brier_skill <= 1),
    psi_score double precision NOT NULL CHECK (psi_score >= 0),
    part_derive double precision CHECK (part_derive BETWEEN 0 AND 1),
    age_jours integer NOT NULL CHECK (age_jours >= 0),
    alertes text[] NOT NULL,
    PRIMARY KEY (campagne_id, mois)
);

CREATE TABLE journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    horodatage timestamptz NOT NULL DEFAULT clock_timestamp(),
    date_simulee date NOT NULL,
    auteur text NOT NULL,
    action text NOT NULL CHECK (action IN
        ('promotion', 'refus', 'promotion forcée', 'retour arrière', 'reprise')),
    version integer NOT NULL CHECK (version > 0),
    version_precedente integer CHECK (version_precedente > 0),
    raison text NOT NULL CHECK (raison <> ''),
    details jsonb NOT NULL DEFAULT '{}',
    empreinte text CHECK (empreinte ~ '^[0-9a-f]{64}$')  -- SHA-256 des fichiers mis en service
);

-- Un journal ne se réécrit pas.
CREATE FUNCTION refuser_reecriture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'le journal ne se modifie pas : ajoutez une ligne';
END $$;
CREATE TRIGGER journal_en_ajout_seul BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuser_reecriture();
