"""Classes that may be one, misspelt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from dropspot.preparation_plan import PreparationPlan
from prep.model import Annotation
from prep.naming import fold
from prep.quarantine import Quarantine


def remark_on_similar_classes(
    classes: Iterable[str], annotations: Sequence[Annotation], plan: PreparationPlan, quarantine: Quarantine
) -> None:
    """Remark on classes whose names differ only in case, at the first annotation that has the rarest of them.

    They stay classes of their own: `Turkey` and `turkey` need not be the same. The plan's classes can make them one.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(classes):
        alike[fold(name)].append(name)
    similar = [group for group in alike.values() if len(group) > 1]
    if not similar:
        return
    names = plan.class_names
    counts: Counter[str] = Counter()
    first: dict[str, Annotation] = {}
    for annotation in sorted(annotations, key=lambda a: (a.file.path, a.item)):
        for box in annotation.boxes:
            name = box.name if names is None else names.get(box.name, "")
            counts[name] += 1
            first.setdefault(name, annotation)
    for group in similar:
        where = first[min(group, key=lambda name: (counts[name], name))]
        each = ", ".join(f"{name!r} ({counts[name]})" for name in group)
        reason = f"the classes {each} differ only in case; the plan's classes can make them one"
        quarantine.remark(where.file.path, "similar_classes", reason, item=where.item)
