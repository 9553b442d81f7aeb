"""The tables of an evaluation: what the charts draw and the model's card prints."""

import numpy as np
import pandas as pd

from ml.bootstrap import ClusterBootstrap, summarize
from ml.claims import claims_held, confidences
from ml.days import FloatArray, epoch_days
from ml.figures import HorizonRows
from ml.metrics import observed_over_expected, quantile_bins, variance_bins
from ml.person_period import BoolArray, Labels
from ml.survival import EDGES, kaplan_meier

BINS = 10
RELIABILITY_BINS = 8
LIFT_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
SURVIVAL_DAYS = tuple(range(0, EDGES[-1] + 1, 5))
MIN_SLICE_FAILURES = 5
"""Failing landmarks below which a slice is not shown; its ratio would be noise."""


def reliability_table(
    bootstrap: ClusterBootstrap, short: HorizonRows, long: HorizonRows, labels: Labels
) -> pd.DataFrame:
    """Stated and observed shares in bins, of both risks and of the stated confidence.

    Each bin holds the same share of the variance p (1 - p) and so says about equally much: tenths of the
    rows would show nine points near zero and nothing of the risks that matter.
    """
    held, known = claims_held(short.risk, long.risk, labels)
    claims = {
        "risk_30": (short.risk, short.failed, short.is_known),
        "risk_90": (long.risk, long.failed, long.is_known),
        "confidence": (confidences(short.risk, long.risk), held, known),
    }
    tables = [_reliability(bootstrap, name, *rows) for name, rows in claims.items()]
    return pd.concat(tables, ignore_index=True)


def _reliability(
    bootstrap: ClusterBootstrap, claim: str, stated: FloatArray, held: BoolArray, known: BoolArray
) -> pd.DataFrame:
    drawn, stated, held = bootstrap.only(known), stated[known], held[known]
    bin_of = variance_bins(stated, RELIABILITY_BINS)
    rows = []
    for index in range(RELIABILITY_BINS):
        inside = bin_of == index
        if not inside.any():
            continue
        hits = drawn.sums((inside & held).astype(np.float64))
        sizes = drawn.sums(inside.astype(np.float64))
        observed = summarize(hits / np.where(sizes == 0, np.nan, sizes))
        rows.append(
            {
                "claim": claim,
                "predicted": float(stated[inside].mean()),
                "observed": observed.point,
                "low": observed.low,
                "high": observed.high,
                "row_count": int(inside.sum()),
                "failure_count": int(held[inside].sum()),
            }
        )
    return pd.DataFrame(rows)


def lift_table(long: HorizonRows, oracle_risk: FloatArray | None) -> pd.DataFrame:
    """Share of the failures within 90 days found among the riskiest shares of the rows."""
    used = long.is_known
    scores = {"model": long.risk[used], "rule": long.rule_score[used]}
    if oracle_risk is not None:
        scores["oracle"] = np.nan_to_num(oracle_risk[used], nan=0.0)
    failed = long.failed[used]
    total = max(int(failed.sum()), 1)
    table = pd.DataFrame({"share": LIFT_SHARES})
    for name, score in scores.items():
        found = np.cumsum(failed[np.argsort(-score, kind="stable")])
        last = [max(round(share * len(failed)) - 1, 0) for share in LIFT_SHARES]
        table[name] = found[last] / total
    return table


def survival_table(curves: FloatArray, labels: Labels) -> pd.DataFrame:
    """By tenth of the 90 day risk: what was seen (Kaplan–Meier) and the mean of the predicted curves."""
    decile = quantile_bins(1.0 - curves[:, EDGES.index(90)], BINS)
    tables = []
    for index in range(BINS):
        inside = decile == index
        if not inside.any():
            continue
        watched = float(labels.exposure_days[inside].max())
        days = np.array([day for day in SURVIVAL_DAYS if day <= watched], dtype=np.float64)
        observed = kaplan_meier(labels.duration_days[inside], labels.is_event[inside], days)
        logs = np.log(np.maximum(curves[inside], 1e-12))
        predicted = [float(np.exp([np.interp(day, EDGES, row) for row in logs]).mean()) for day in days]
        tables.append(
            pd.DataFrame({"decile": index + 1, "day": days, "observed": observed, "predicted": predicted})
        )
    return pd.concat(tables, ignore_index=True)


def slice_table(bootstrap: ClusterBootstrap, long: HorizonRows, judged: pd.DataFrame) -> pd.DataFrame:
    """Observed over expected failures within 90 days in parts of the judged rows."""
    day = epoch_days(judged["as_of"]).astype("datetime64[D]")
    month = day.astype("datetime64[M]").astype(str)
    age = np.where(judged["battery_age_days"].isna(), "unknown", "known")
    slices = {"month": month, "battery_age": age, "origin": judged["origin"].to_numpy(dtype=object)}
    rows = []
    for name, values in slices.items():
        for value in np.unique(values.astype(str)):
            inside = (values == value) & long.is_known
            failures = int(long.failed[inside].sum())
            if failures < MIN_SLICE_FAILURES:
                continue
            ratio = summarize(
                observed_over_expected(bootstrap.only(inside), long.risk[inside], long.failed[inside])
            )
            rows.append(
                {
                    "slice": name,
                    "value": str(value),
                    "failure_count": failures,
                    "oe_ratio": ratio.point,
                    "low": ratio.low,
                    "high": ratio.high,
                }
            )
    columns = ["slice", "value", "failure_count", "oe_ratio", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
