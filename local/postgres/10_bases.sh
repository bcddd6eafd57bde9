# Au premier démarrage de Postgres : une base et un rôle par outil, et la base de la démonstration.
# Les mots de passe viennent des secrets ; personne d’autre que son rôle n’entre dans une base.
# Lu (et non lancé) par le point d’entrée de l’image, d’où l’absence de ligne « #! ».

creer_role() { # creer_role <nom> <options>
  psql --username postgres --dbname postgres --quiet --set ON_ERROR_STOP=1 \
    --set nom="$1" --set mot_de_passe="$(cat "/run/secrets/mot_de_passe_$1")" << SQL
SET password_encryption = 'scram-sha-256';
CREATE ROLE :"nom" LOGIN PASSWORD :'mot_de_passe' $2;
SQL
}

creer_base() { # creer_base <nom> <propriétaire>
  psql --username postgres --dbname postgres --quiet --set ON_ERROR_STOP=1 \
    --set nom="$1" --set proprietaire="$2" << 'SQL'
CREATE DATABASE :"nom" OWNER :"proprietaire";
REVOKE ALL ON DATABASE :"nom" FROM PUBLIC;
SQL
}

for outil in mlflow airflow superset; do
  creer_role "$outil" ""
  creer_base "$outil" "$outil"
done

# La base d’administration n’est à personne d’autre.
psql --username postgres --dbname postgres --quiet --set ON_ERROR_STOP=1 << 'SQL'
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
SQL

# La démonstration : « production » pour le service et les traitements planifiés ; « hub » crée le
# rôle et le schéma de chaque participant ; « superset » ne fait que lire ceux de production.
creer_role production ""
creer_role hub CREATEROLE
creer_base demo postgres
psql --username postgres --dbname demo --quiet --set ON_ERROR_STOP=1 << 'SQL'
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE demo TO hub WITH GRANT OPTION;
GRANT CREATE ON DATABASE demo TO hub;
-- Le hub devient un participant le temps de créer son schéma, sans hériter de ses droits.
ALTER ROLE hub SET createrole_self_grant = 'set';
GRANT CONNECT, TEMPORARY ON DATABASE demo TO production;
GRANT CONNECT ON DATABASE demo TO superset;
CREATE SCHEMA demo_production AUTHORIZATION production;
GRANT USAGE ON SCHEMA demo_production TO superset;
ALTER DEFAULT PRIVILEGES FOR ROLE production IN SCHEMA demo_production GRANT SELECT ON TABLES TO superset;
SQL
