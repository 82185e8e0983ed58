"""Validates CloudFormation templates by AWS's offline validator, for the paths that are its arguments.

Prints as JSON what is worse than a remark, and the properties of which the validator says that a change of them replaces
the resource.
"""

import json
import sys

from cloudformation_validate import CelEngine, LogicalIdFilter, RuleFilterConfig, Severity, ValidateConfig

SKIPPED = RuleFilterConfig(
    # It takes an ARN for hard-coded that `Fn::Sub` makes of the partition, the Region and the account.
    # Also the ARN of a customer's key, which the config names.
    ids=["W9002", "W9013"],
    logical_ids=[
        # The value `none` is allowed, as no flow log is made with it.
        LogicalIdFilter(rule_id="W1030", logical_id="FlowLogs"),
        # It takes the ARN of a secret for the secret.
        LogicalIdFilter(rule_id="W2509", logical_id="SecretArn"),
    ],
)
CREATE_ONLY = "I9001"

engine = CelEngine()
config = ValidateConfig(exclude=SKIPPED)
problems = []
create_only = set()
for path in sys.argv[1:]:
    for found in engine.validate_template(path, config).diagnostics:
        if found.severity.value >= Severity.WARN.value:
            of = found.entity.logical_id if found.entity else "template"
            problems.append(f"{path}: {found.rule_id} {of} {found.property_path}: {found.message}")
        elif found.rule_id == CREATE_ONLY:
            create_only.add((found.entity.resource_type, found.property_path))

print(json.dumps({"problems": problems, "create_only": sorted(create_only)}))
