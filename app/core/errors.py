"""Every error the server raises on purpose.

    AppError
      +-- BadInput            the client's fault: a code, the connection stays open
      |     +-- TextTooLong
      |     +-- BodyTooLarge
      |     +-- ForbiddenThread
      |     +-- TurnInProgress
      |     +-- RateLimited
      |     +-- DuplicateMessage
      |     +-- NotFound
      |     +-- AttachmentsUnsupported
      |     +-- VoiceOff            the server hears nothing: no engine is set up
      |     +-- TooManyMicrophones  as many are open as the process takes
      |     +-- NoCredits           as much was generated as may be
      |     +-- NotStreaming        there is no explanation that could be paused
      |     +-- AlreadyPaused       it is paused
      |     +-- NotPaused           it runs
      |     +-- NothingToResume     it was never begun, or it is over
      |     +-- SessionExpired      it is not known any more
      |     +-- ForeignAnswer       what is to go on is not what was begun
      |     +-- TakenOver           another connection of the user goes on with it
      |     +-- Conflict
      |     |     +-- HasBooking
    |     +-- BadSignature
      +-- AgentError          the chat model or the graph
      |     +-- ModelError         the model server refused or broke off
      |     +-- ModelIncomplete    the stream ended without its own end
      |     +-- BadExplanation     what the model said is no explanation
      |     +-- ExplanationTimeout  the model took too long to make one
      |     +-- AgentLoop          the agents hand over without end
      +-- SttError            speech could not be understood: the engine refused, broke off or hung
      +-- TtsError            an answer could not be spoken
      +-- StoreError          persistence failed or hung
      |     +-- LaneLost           another process has the turns of the thread
      +-- TurnTimeout         a turn took longer than it may
      +-- StreamTimeout       a stream was open for longer than it may
      +-- Unauthenticated     nobody is logged in
      |     +-- InvalidToken
      |     +-- TokenExpired
      |     +-- InvalidCredentials
      +-- IdentityUnavailable tokens cannot be checked now
      +-- Draining            the server is shutting down
      +-- Overloaded          the server has as much as it may take
      +-- LogTruncated        a reader fell behind what the log keeps

    Misconfigured             for the operator alone: something must be installed or run first

``code`` is stable and goes to clients; ``message`` is for people. Neither ever holds a secret.
"""

from typing import ClassVar

from app.models.rate import Verdict


class AppError(Exception):
    """An error with a code that clients may rely on."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False
    default: ClassVar[str] = "Error interno."

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        """Use the class's message and code where none is given."""
        super().__init__(message or self.default)
        self.message = message or self.default
        self.error_code = code or self.code


class BadInput(AppError):
    """The client sent something that cannot be taken."""

    code = "invalid_message"
    default = "El mensaje no es válido."


class TextTooLong(BadInput):
    """More characters than ``MAX_TEXT_CHARS``."""

    code = "text_too_long"
    default = "El texto es demasiado largo."


class BodyTooLarge(BadInput):
    """The body of a request has more bytes than are read."""

    code = "body_too_large"
    default = "El cuerpo de la petición es demasiado grande."


class ForbiddenThread(BadInput):
    """The thread belongs to somebody else."""

    code = "forbidden_thread"
    default = "Esta conversación es de otra persona."


class TurnInProgress(BadInput):
    """A turn runs and the client asked not to disturb it."""

    code = "turn_in_progress"
    retryable = True
    default = "Todavía estoy respondiendo el mensaje anterior."


class RateLimited(BadInput):
    """Too much at once, or too often."""

    code = "rate_limited"
    retryable = True
    default = "Demasiados mensajes. Espera un momento."

    def __init__(self, message: str | None = None, *, verdict: Verdict | None = None) -> None:
        """Say when there is room again, where it is known."""
        if message is None and verdict is not None:
            message = f"Demasiadas peticiones. Intenta de nuevo en {verdict.reset_seconds} s."
        super().__init__(message)
        self.verdict = verdict


class DuplicateMessage(BadInput):
    """The message was taken before: its turn has run, runs or waits."""

    code = "duplicate_message"
    default = "Este mensaje ya se recibió."

    def __init__(self, turn_id: str) -> None:
        """Name the turn that the message has."""
        super().__init__()
        self.turn_id = turn_id


class NotFound(BadInput):
    """There is no such thing."""

    code = "not_found"
    default = "No existe."


class AttachmentsUnsupported(BadInput):
    """A message came with files."""

    code = "attachments_unsupported"
    default = "Todavía no se pueden adjuntar archivos."


class NoCredits(BadInput):
    """As many answers were generated for the user as may be."""

    code = "no_credits"
    retryable = True
    default = "Ya se usaron todas las respuestas nuevas de hoy. Las preguntas que ya tienen respuesta no cuestan."


class NotStreaming(BadInput):
    """There is nothing to pause."""

    code = "not_streaming"
    default = "No hay ninguna explicación en curso."


class AlreadyPaused(BadInput):
    """It was paused before."""

    code = "already_paused"
    default = "La explicación ya está en pausa."


class NotPaused(BadInput):
    """It runs already."""

    code = "not_paused"
    default = "La explicación no está en pausa."


class NothingToResume(BadInput):
    """Nothing was begun, or it was told to its end."""

    code = "nothing_to_resume"
    default = "No hay ninguna explicación por reanudar."


class SessionExpired(BadInput):
    """Nothing is known of what the user was told: it was too long ago, or never was."""

    code = "session_expired"
    default = "La explicación ya no está guardada. Haz la pregunta otra vez."


class ForeignAnswer(BadInput):
    """The answer that is named is not the one that the user is being told."""

    code = "foreign_answer"
    default = "Esa respuesta no es la de esta sesión."


class TakenOver(BadInput):
    """Another connection of the same user goes on."""

    code = "taken_over"
    default = "La explicación sigue en otra conexión."


class Conflict(BadInput):
    """The thing is in a state that does not allow it."""

    code = "conflict"
    default = "Ya no es posible."


class HasBooking(Conflict):
    """A taxi was sent in what would be cut from a conversation."""

    code = "has_booking"
    default = "Desde ese mensaje ya se pidió un taxi: no se puede cambiar."


class BadSignature(BadInput):
    """A message between servers does not prove who sends it, and when."""

    code = "bad_signature"
    default = "La firma no es válida."


class TooManyMicrophones(BadInput):
    """As many microphones are open as the process takes."""

    code = "too_many_microphones"
    retryable = True
    default = "Hay demasiadas llamadas en este momento. Escribe, o intenta de nuevo en un rato."


class AgentError(AppError):
    """The chat model or the graph failed."""

    code = "agent_error"
    default = "El agente tuvo un problema."


class ModelError(AgentError):
    """The chat model refused, broke off or could not be reached."""

    code = "model_error"
    retryable = True
    default = "El modelo de lenguaje no respondió bien."


class ModelIncomplete(AgentError):
    """The chat model stopped without saying that it was done."""

    code = "model_incomplete"
    retryable = True
    default = "La respuesta del modelo llegó incompleta."


class BadExplanation(AgentError):
    """What the model said is no explanation."""

    code = "bad_explanation"
    default = "No se pudo preparar la explicación."


class ExplanationTimeout(AgentError):
    """It took longer than ``EXPLANATION_TIMEOUT_SECONDS`` to make an explanation."""

    code = "explanation_timeout"
    retryable = True
    default = "La explicación tardó demasiado en prepararse."


class AgentLoop(AgentError):
    """The agents took more steps than a turn may have."""

    code = "agent_loop"
    default = "Los agentes no llegaron a una respuesta."


class SttError(AppError):
    """A speech-to-text engine refused, broke off, hung or crashed."""

    code = "stt_failed"
    retryable = True
    default = "No te pude oír bien. Repítelo, o escríbelo."


class TtsError(AppError):
    """A text-to-speech engine refused, broke off, hung or crashed."""

    code = "tts_failed"
    retryable = True
    default = "La respuesta no se pudo decir en voz alta."


class VoiceOff(BadInput):
    """No speech-to-text engine is set up."""

    code = "invalid_audio"
    default = "Este servidor atiende por texto: no tiene reconocimiento de voz."


class StoreError(AppError):
    """Something could not be saved or read."""

    code = "store_failed"
    retryable = True
    default = "No se pudo guardar la respuesta."


class LaneLost(StoreError):
    """Another process runs the turns of the thread: what is left of this one must be silent."""

    default = "Otro servidor atiende ahora esta conversación."


class TurnTimeout(AppError):
    """The turn took longer than ``TURN_TIMEOUT_SECONDS``."""

    code = "turn_timeout"
    retryable = True
    default = "La respuesta tardó demasiado."


class StreamTimeout(AppError):
    """A stream was open for ``STREAM_TIMEOUT_SECONDS``; its turn goes on."""

    code = "stream_timeout"
    retryable = True
    default = "La respuesta tardó más de lo que dura una conexión."


class Draining(AppError):
    """The server is shutting down; another one will take over."""

    code = "draining"
    retryable = True
    default = "El servidor se está reiniciando."


class Unauthenticated(AppError):
    """Nobody is logged in."""

    code = "not_authenticated"
    default = "Hay que iniciar sesión."


class InvalidToken(Unauthenticated):
    """The token is not genuine, or not for this server."""

    code = "invalid_token"
    default = "La sesión no es válida."


class TokenExpired(Unauthenticated):
    """The token was good once."""

    code = "token_expired"
    retryable = True
    default = "La sesión venció."


class InvalidCredentials(Unauthenticated):
    """No account has this name and this password; it does not say which is wrong."""

    code = "invalid_credentials"
    default = "El usuario o la contraseña no son correctos."


class IdentityUnavailable(AppError):
    """Tokens cannot be checked at the moment."""

    code = "identity_unavailable"
    retryable = True
    default = "No se puede comprobar la sesión en este momento."


class Overloaded(AppError):
    """The server has as much as it may take; another one, or a later try, will do."""

    code = "overloaded"
    retryable = True
    default = "Hay demasiadas conversaciones en este momento. Intenta de nuevo en unos segundos."


class LogTruncated(AppError):
    """A reader is further back than the event log keeps."""

    code = "log_truncated"
    retryable = True
    default = "El registro ya no llega tan atrás."


class Misconfigured(Exception):
    """The server cannot start as it is installed; the message tells its operator what to run."""


def as_app_error(error: BaseException) -> AppError:
    """Return the reason behind ``error`` in our terms.

    Task groups wrap what went wrong; the first error of ours inside wins. Anything unforeseen is
    an ``internal_error`` whose message says nothing of the inside.
    """
    if isinstance(error, BaseExceptionGroup):
        reasons = [as_app_error(inner) for inner in error.exceptions]
        return next((reason for reason in reasons if reason.code != AppError.code), reasons[0])
    if isinstance(error, AppError):
        return error
    unforeseen = AppError()
    unforeseen.__cause__ = error
    return unforeseen
