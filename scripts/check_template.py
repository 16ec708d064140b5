"""Check template.yaml offline: expand it as CloudFormation would, then ask the house rules and cfn-lint.

cfn-lint alone does not see what SAM makes of a template: it skips its IAM checks where the Serverless transform is
present. The expanded template hides nothing. Exit 1 with one finding a line, 0 without any.
"""

import argparse
import json
import sys
from pathlib import Path

from cfnlint import api, core
from cfnlint.config import ManualArgs
from house_rules import Subject, findings
from sam_expansion import REGION, TEMPLATE, ExpansionError, expand, load


def check(text: str) -> list[str]:
    """Return the findings on a SAM template's text."""
    try:
        subject = Subject(text, load(text), expand(text))
    except ExpansionError as error:
        return [f"SAM refuses the template: {error}"]
    return findings(subject) + lint(subject)


def lint(subject: Subject) -> list[str]:
    """Return what cfn-lint says of the expanded template."""
    errors_and_warnings = core.get_rules([], [], [])
    matches = api.lint(json.dumps(subject.expanded, indent=1), errors_and_warnings, config=ManualArgs(regions=[REGION]))
    return [f"{match.rule.id} at {'/'.join(map(str, match.path or []))}: {match.message}" for match in matches]


def main() -> int:
    """Print the findings on the template that the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check the SAM template offline.")
    parser.add_argument("template", type=Path, nargs="?", default=TEMPLATE)
    path = parser.parse_args().template
    found = check(path.read_text())
    for finding in found:
        print(f"{path.name}: {finding}")
    print(f"{len(found)} finding{'s' * (len(found) > 1)}" if found else f"{path.name} is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
