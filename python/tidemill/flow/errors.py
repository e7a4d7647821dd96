"""Airflow's exceptions."""


class AirflowException(Exception):
    status_code = 500


class AirflowBadRequest(AirflowException):
    status_code = 400


class AirflowNotFoundException(AirflowException):
    status_code = 404


class AirflowConfigException(AirflowException):
    pass


class AirflowSensorTimeout(AirflowException):
    pass


class AirflowRescheduleException(AirflowException):
    def __init__(self, reschedule_date):
        super().__init__()
        self.reschedule_date = reschedule_date


class AirflowSkipException(AirflowException):
    pass


class AirflowFailException(AirflowException):
    pass


class AirflowOptionalProviderFeatureException(AirflowException):
    pass


class AirflowTaskTimeout(BaseException):
    """Not an AirflowException, so that a task's `except Exception` does not swallow it."""


class AirflowTaskTerminated(BaseException):
    pass


class AirflowRuntimeError(Exception):
    def __init__(self, error, detail=None):
        self.error, self.detail = error, detail
        super().__init__(f"{error}: {detail}" if detail is not None else error)


class DownstreamTasksSkipped(AirflowException):
    def __init__(self, *, tasks):
        super().__init__()
        self.tasks = tasks


class TaskDeferred(BaseException):
    """Raised by deferrable operators; the worker waits for the trigger in the same process."""

    def __init__(self, *, trigger, method_name, kwargs=None, timeout=None):
        super().__init__()
        self.trigger, self.method_name, self.kwargs, self.timeout = trigger, method_name, kwargs, timeout


class TaskDeferralError(AirflowException):
    pass


class DagNotFound(AirflowNotFoundException):
    pass


class DagRunNotFound(AirflowNotFoundException):
    pass


class DagRunAlreadyExists(AirflowBadRequest):
    pass


class TaskNotFound(AirflowNotFoundException):
    pass


class TaskInstanceNotFound(AirflowNotFoundException):
    pass


class PoolNotFound(AirflowNotFoundException):
    pass


class XComNotFound(AirflowException):
    pass


class XComForMappingNotPushed(AirflowException):
    pass


class UnmappableXComTypePushed(AirflowException):
    pass


class AirflowDagCycleException(AirflowException):
    pass


class AirflowDagInconsistent(AirflowException):
    pass


class AirflowClusterPolicyViolation(AirflowException):
    pass


class AirflowTimetableInvalid(AirflowException):
    pass


class AirflowProviderDeprecationWarning(DeprecationWarning):
    pass


class AirflowDagDuplicatedIdException(AirflowException):
    pass


class DuplicateTaskIdFound(AirflowException):
    pass


class TaskAlreadyInTaskGroup(AirflowException):
    pass


class ParamValidationError(AirflowException):
    pass


class SerializationError(AirflowException):
    pass


class BackfillUnfinished(AirflowException):
    pass


class RemovedInAirflow3Warning(DeprecationWarning):
    pass


class RemovedInAirflow4Warning(DeprecationWarning):
    pass


class FailStopDagInvalidTriggerRule(AirflowException):
    pass


class FailFastDagInvalidTriggerRule(FailStopDagInvalidTriggerRule):
    pass


class NodeError(AirflowException):
    pass


class ConnectionNotUnique(AirflowException):
    pass


class NotMapped(Exception):
    pass
