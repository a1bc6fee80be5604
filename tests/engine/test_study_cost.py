"""Cost against quality: fronts, the sentence on opposite data, and what runs recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mad_core.machine import energy
from mad_core.machine.energy import ENERGY, Energy
from mad_core.machine.memory import PEAK
from mad_core.metrics.macro import Measured, measure
from mad_core.runs.store import RunRequest, RunSubset, Store
from mad_core.studies.cost.run import Spent, cost, on_front, spent_by
from mad_core.studies.finding import Finding, finding_from_json
from mad_core.studies.sampling import Sample
from mad_core.studies.study import Work, figures, study

from .toy_study import add_run

CPU = Spent("Xeon", 100, 2.0, 10.0, 10**9, None, 10**6)


def found_for(
    skills: dict[str, tuple[float, float]], devices: dict[str, str] | None = None, per_level: int = 60
) -> Finding:
    """Scorers of given order skill and images a second."""
    levels = np.repeat(np.arange(3.0), per_level)
    rng = np.random.default_rng(2)
    places: dict[str, dict[str, Measured]] = {}
    for name, (skill, _) in skills.items():
        places[name] = {"bolt": measure(levels, skill * levels + rng.normal(size=len(levels)))}
    ids = [str(i) for i in range(len(levels))]
    table = pd.DataFrame({"image_id": ids, "subset": "bolt", "level": levels})
    spent = {
        name: replace(CPU, seconds_score=100 / rate, device=(devices or {}).get(name, "Xeon"))
        for name, (_, rate) in skills.items()
        if rate
    }
    sample = Sample(dict.fromkeys(skills, table), {n: n.upper() for n in skills}, len(ids), len(ids), 200)
    return cost(spent, places, sample, metric="c_index", quick=False)


def test_the_sentence_follows_the_data() -> None:
    found = found_for({"slow": (2.0, 2.0), "fast": (0.2, 50.0)})
    assert found.sentence.startswith(
        "SLOW is better than the fastest on Xeon, FAST (50 images/s), and takes 25.0 times"
    )
    assert found.facts["fastest_and_best"]["Xeon"]["difference"][1] > 0
    assert found.tables["costs"]["on_front"].tolist() == [True, True]
    found = found_for({"slow": (0.2, 2.0), "fast": (2.0, 50.0)})
    assert found.sentence.startswith("FAST is the fastest on Xeon (50 images/s) and clearly the best (C-index 0.")
    assert found.tables["costs"]["on_front"].tolist() == [False, True]
    found = found_for({"slow": (1.0, 2.0), "fast": (1.0, 50.0)}, per_level=10)
    assert found.sentence.startswith("No clear difference")
    found = found_for({"fast": (1.0, 50.0), "slow": (1.0, 2.0)}, per_level=10)
    assert found.sentence.startswith("No clear difference")


def test_devices_are_compared_each_for_itself() -> None:
    found = found_for({"slow": (2.0, 2.0), "fast": (0.2, 50.0), "gpu": (0.1, 900.0)}, {"gpu": "H100"})
    assert "SLOW is better than the fastest on Xeon, FAST" in found.sentence
    assert "There is one scorer with this metric on H100, so there is nothing to choose." in found.sentence
    assert found.tables["costs"]["on_front"].tolist() == [True, True, True]
    assert [p.title for p in figures(found, "dark") if p.title.startswith("C-index and speed")] == [
        "C-index and speed on Xeon",
        "C-index and speed on H100",
    ]


def test_a_run_without_recorded_cost_is_named() -> None:
    found = found_for({"slow": (2.0, 2.0), "fast": (0.2, 50.0), "elsewhere": (3.0, 0.0)})
    assert "ELSEWHERE recorded no cost and is left out." in found.caveat
    assert found.facts["without_cost"] == ["ELSEWHERE"] and len(found.tables["costs"]) == 2


def test_the_front_is_what_a_search_over_pairs_gives() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        n = 12
        devices = rng.choice(["a", "b"], n).tolist()
        rates, values = rng.integers(1, 6, n).tolist(), (rng.integers(0, 6, n) / 5).tolist()
        slow = []
        for i in range(n):
            better = [
                j
                for j in range(n)
                if devices[j] == devices[i]
                and (rates[j], values[j]) != (rates[i], values[i])
                and rates[j] >= rates[i]
                and values[j] >= values[i]
            ]
            slow.append(not better)
        assert on_front(devices, rates, values) == slow
    assert on_front(["a", "a"], [1.0, 2.0], [None, 0.5]) == [False, True]


def test_what_a_run_recorded_is_read(store: Store, dataset_id: str) -> None:
    run = add_run(store, dataset_id, seconds=2.0)
    store.update_run(run.id, record={"device": {"id": "cpu", "name": "Xeon"}})
    fit = store.settings.fits / "abc"
    fit.mkdir(parents=True)
    (fit / "state.safetensors").write_bytes(b"x" * 1000)
    for subset, rss, joules in (("a", 5, 1.5), ("b", 7, 2.5)):
        facts = {PEAK: {"rss": rss, "cuda": None}, ENERGY: {"joules": joules, "of": "GPU"}}
        store.save_run_subset(run.id, RunSubset(subset, "abc", 1.0, 2.0, facts))
    found = spent_by(store, store.run(run.id))
    assert found == Spent("Xeon", 18, 2.0, 4.0, 7, None, 1000, 4.0) and found.rate == pytest.approx(4.5)
    assert spent_by(store, store.keep_results(RunRequest(dataset_id, "external", {}), {}, {})) is None


def test_a_blend_costs_what_its_parts_cost(store: Store, dataset_id: str) -> None:
    part = add_run(store, dataset_id, "part", seconds=3.0)
    blend = store.request_run(RunRequest(dataset_id, "hybrid", {"detector": part.id}))
    store.update_run(blend.id, done=18)
    for subset in ("a", "b"):
        store.save_run_subset(blend.id, RunSubset(subset, None, 0.5, 1.0, {}))
    found = spent_by(store, store.run(blend.id))
    assert found is not None
    assert (found.seconds_fit, found.seconds_score) == (7.0, 8.0)


def test_the_whole_study_from_the_store(store: Store, dataset_id: str) -> None:
    runs = [add_run(store, dataset_id, "quick", seconds=0.1), add_run(store, dataset_id, "slow", seconds=9.0)]
    info = study("cost")
    found = info.do(Work(store, dataset_id, store.dataset(dataset_id), runs, info.check({})))
    assert found.sentence.startswith("On a sample of 18 of 18 test images, no clear difference on auto: quick is the")
    back = finding_from_json(found.to_json())
    assert back.tables["costs"]["images_per_second"].tolist() == found.tables["costs"]["images_per_second"].tolist()
    assert [p.title for p in figures(back, "light")] == [p.title for p in figures(found, "light")]


# -- energy -----------------------------------------------------------------------------------------


def counter(folder: Path, name: str, joules: float, top: float = 1000.0) -> None:
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    (place / "max_energy_range_uj").write_text(f"{top * 1e6:.0f}\n")


def test_energy_of_processors_is_summed_over_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    assert Energy("cpu").facts() is None
    counter(tmp_path, "intel-rapl:0", 10)
    counter(tmp_path, "intel-rapl:1", 990)
    counter(tmp_path, "intel-rapl:0:0", 1)  # a part of the first package
    meter = Energy("cpu")
    counter(tmp_path, "intel-rapl:0", 15)
    counter(tmp_path, "intel-rapl:1", 2)  # it began at 0 again
    counter(tmp_path, "intel-rapl:0:0", 500)
    assert meter.facts() == {"joules": 17.0, "of": "processor packages"}
    assert meter.facts({"joules": 3.0, "of": "processor packages"}) == {"joules": 20.0, "of": "processor packages"}


class _Driver:
    """Stands in for NVML: 2,500 mJ more at each look."""

    def __init__(self) -> None:
        self.millijoules, self.open = 1000, 0

    def nvmlInit_v2(self) -> int:
        self.open += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, address: bytes, handle: object) -> int:
        return 0 if address == b"0000:1b:00.0" else 2

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object, value: object) -> int:
        self.millijoules += 2500
        value._obj.value = self.millijoules
        return 0


def test_energy_of_a_gpu_is_what_its_driver_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = _Driver()
    monkeypatch.setattr(energy.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setattr(energy, "_address", lambda index: "0000:1b:00.0" if index == 1 else None)
    assert Energy("cuda:1").facts() == {"joules": 2.5, "of": "GPU"}
    assert Energy("cuda:0").facts() is None
    assert driver.open == 0


def test_without_a_driver_there_is_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    monkeypatch.setattr(energy.ctypes, "CDLL", missing)
    assert Energy("cuda:0").facts() is None
