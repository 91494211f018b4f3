"""The duty that collects metrics, compares them with thresholds, writes their files."""

from __future__ import annotations

from geuwsgi.background.alarms import encode_raise
from geuwsgi.background.builtinmetrics import BuiltinMetrics
from geuwsgi.background.collecting import Collector, MetricFiles, Threshold
from geuwsgi.master.duty import Duty
from geuwsgi.master.prepared import Prepared

_EVERY_S = 1.0


def metrics_duty(prepared: Prepared) -> Duty | None:
    """The duty, if there are metrics. Raises ConfigError or StartupError."""
    if prepared.commons.metrics is None:
        return None
    return MetricsDuty(prepared)


class MetricsDuty(Duty):
    def __init__(self, prepared: Prepared) -> None:
        commons, settings = prepared.commons, prepared.settings
        assert commons.metrics is not None
        self._metrics = commons.metrics
        self._boxes = commons.mailboxes
        self._builtin = BuiltinMetrics(prepared.scoreboard, settings.workers.processes)
        self._collector = Collector(self._metrics, self._read)
        self._thresholds = [
            Threshold.parse(line) for line in settings.shared.metric_alarm
        ]
        directory = settings.shared.metrics_dir
        self._files = MetricFiles(directory) if directory else None
        self._next = 0.0

    def tick(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + _EVERY_S
        self._collector.tick(now)
        self._compare(now)
        if self._files is not None:
            for spec in self._metrics.specs:
                self._files.write(spec.name, self._metrics.get(spec.name) or 0)
            for name, _, _, value in self._builtin.all():
                self._files.write(name, value)

    def _compare(self, now: float) -> None:
        for threshold in self._thresholds:
            value = self._read(threshold.metric)
            if value is None or not threshold.is_due(value, now):
                continue
            if threshold.alarm and self._boxes is not None:
                message = threshold.message.encode()
                self._boxes.alarm_messages.send(encode_raise(threshold.alarm, message))
            if threshold.reset is not None and threshold.metric in self._metrics:
                self._metrics.set(threshold.metric, threshold.reset)

    def _read(self, name: str) -> int | None:
        value = self._metrics.get(name)
        return self._builtin.get(name) if value is None else value
