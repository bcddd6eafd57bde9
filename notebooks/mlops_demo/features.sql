-- Ce que l’on sait d’un vol AVANT son départ. Aucune colonne « connu: après » du contrat n’entre
-- ici, sauf celles des vols de la VEILLE, déjà arrivés à 4 h du matin (heure de New York).
-- Un vol est compté arrivé à 4 h si départ prévu + retard au départ + temps de vol + 45 min de
-- roulage tiennent avant 28 h ; les autres sont ignorés plutôt que devinés.
WITH veille AS (
    SELECT flight_date + 1 AS flight_date, origin, carrier,
        avg((arr_delay >= 15)::int)::float8 AS retard
    FROM flights
    WHERE arr_delay IS NOT NULL
        AND minutes(sched_dep_time) + dep_delay + air_time + 45 <= 28 * 60
    GROUP BY GROUPING SETS ((flight_date, origin), (flight_date, carrier))
)
SELECT v.flight_id, v.flight_date, v.carrier, v.origin, v.dest,
    minutes(v.sched_dep_time)::float8 AS sched_min,
    date_part('isodow', v.flight_date) AS dow,
    v.distance::float8 AS distance,
    date_part('year', v.flight_date) - p.year AS plane_age,
    p.seats::float8 AS seats,
    m.temp, m.dewp, m.humid, m.wind_dir, m.wind_speed, m.wind_gust, m.precip, m.pressure, m.visib,
    o.retard AS late_origin_d1,
    c.retard AS late_carrier_d1
FROM flights AS v
LEFT JOIN planes AS p USING (tailnum)
-- Jointure sur l’heure UTC : à l’heure locale, le changement d’heure dédoublerait des lignes.
LEFT JOIN weather AS m ON m.origin = v.origin AND m.time_hour = v.time_hour
LEFT JOIN veille AS o ON o.flight_date = v.flight_date AND o.origin = v.origin
LEFT JOIN veille AS c ON c.flight_date = v.flight_date AND c.carrier = v.carrier
