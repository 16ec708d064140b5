"""The Object Detection algorithm's metrics: name, and regular expression that reads it from a log.

The service presets them for its own image; for any other image, CreateTrainingJob has to state them. The service's own
expressions take a loss's parentheses along; these read the number, with parentheses or without.
"""

METRICS = {
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:smooth_l1": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train smooth_l1 <loss>=\(?([^\s()]+)",
    "train:cross_entropy": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train cross_entropy <loss>=\(?([^\s()]+)",
    "train:throughput": r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
    "validation:mAP": r"#quality_metric: host=\S+, epoch=\S+, validation mAP <score>=\((\S+)\)",
}
