"""Settings: read once from the environment and ``.env``, frozen, passed in. No module global."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_serializer, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.core.rates import read_networks, read_proxies, read_rate
from app.core.signatures import read_signer

MEMORY_URL = "memory://"
"""A ``DATABASE_URL`` that keeps everything in this process and nothing after it."""

SttName = Literal["auto", "off", "whisper", "assemblyai", "deepgram", "openai"]
TtsName = Literal["auto", "off", "espeak", "kokoro", "piper", "cartesia", "elevenlabs", "openai"]

_RATES = (
    "rate_limit_requests",
    "rate_limit_turns",
    "rate_limit_logins",
    "rate_limit_questions",
    "explanation_credits",
)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from the same machine alone."""
    try:
        address = ip_address(host)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(BaseSettings):
    """Every setting of the server. ``.env.example`` documents each; a test holds it to that."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""

    database_url: str = Field(default="sqlite+aiosqlite:///voztaxi.db", repr=False)
    """Where bookings, conversations and events are kept; ``memory://`` keeps nothing."""
    database_pool_size: int = Field(default=10, ge=1)
    """Connections to Postgres that the process holds at most; as many again for checkpoints."""
    auto_migrate: bool = False
    """Bring the tables of Postgres to this version at the start; else ``voztaxi migrate`` does."""
    redis_url: SecretStr | None = None
    """Redis or Valkey that several processes share: event log, who runs what, commands."""
    checkpointer_type: Literal["auto", "memory", "sqlite", "postgres", "redis"] = "auto"
    """Where LangGraph keeps its checkpoints; ``auto`` follows ``database_url``."""

    llm: Literal["auto", "offline", "openai"] = "auto"
    """The chat model; ``auto`` is ``openai`` with a key and ``offline`` without."""
    llm_model: str = "gpt-4o-mini"
    """Model name sent to the OpenAI-compatible server."""
    llm_temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature; empty leaves it to the server."""
    llm_timeout_seconds: float = Field(default=30, gt=0)
    """Longest silence of the model server, before and between tokens."""
    llm_count_tokens: bool = True
    """Ask the model server how many tokens its answers took; off for a server that refuses ``stream_options``."""
    openai_api_key: SecretStr | None = None
    """Key for the OpenAI-compatible server."""
    openai_base_url: str | None = None
    """Address of the OpenAI-compatible server; empty is OpenAI's own."""
    offline_word_delay_ms: int = Field(default=15, ge=0, le=5000)
    """Pause between the words of the offline model, so that an answer is seen to grow."""

    coverage: Annotated[tuple[str, ...], NoDecode] = ("Barranquilla", "Soledad", "Puerto Colombia", "Galapa")
    """Municipalities where the fleet picks up, separated by commas."""
    support_phone: str | None = None
    """What a rider who wants a person is told to call."""

    dispatch_url: str | None = None
    """Where bookings are posted to the fleet; empty keeps them here, accepted at once."""
    dispatch_secret: SecretStr | None = None
    """Keys of the signatures, ours and the fleet's: ``whsec_`` and Base64 each; the first signs, all are taken."""
    dispatch_timeout_seconds: float = Field(default=5, gt=0, le=60)
    """Longest that one request to the fleet may take."""
    dispatch_wait_seconds: float = Field(default=4, ge=0, le=8)
    """How long a turn waits for the fleet's answer; what comes later is told by a ``booking_update``."""
    dispatch_max_attempts: int = Field(default=8, gt=0)
    """A delivery that failed so often is parked; see ``voztaxi dispatch``."""
    fleet_url: str | None = None
    """Where riders and coordinates are looked up; empty is nowhere."""

    max_text_chars: int = Field(default=4000, gt=0)
    """Longest text of a message, in characters."""
    max_frame_bytes: int = Field(default=1_048_576, gt=0)
    """Largest WebSocket frame, in bytes; a larger one closes the socket with 1009."""
    max_body_bytes: int = Field(default=1_048_576, gt=0)
    """Largest body of an HTTP request, in bytes; a larger one is refused with 413."""
    max_half_open: int = Field(default=1000, gt=0)
    """Connections of this process whose request is not yet whole; where one more comes the oldest is closed."""
    max_queued_turns: int = Field(default=8, gt=0)
    """Inputs that may wait on one thread."""
    max_connections: int = Field(default=5000, gt=0)
    """WebSockets and Socket.IO clients of this process; one more is refused with 503."""
    max_streams: int = Field(default=1000, gt=0)
    """Streams of Server-Sent Events of this process; one more is refused with 503."""
    max_active_turns: int = Field(default=500, gt=0)
    """Turns that may run at once in this process; one more is refused with 503, a WebSocket closed with 1013."""
    max_threads_per_connection: int = Field(default=32, gt=0)
    """Threads that one WebSocket may listen to at once."""

    rate_limit_requests: str = "600/minute"
    """Requests of one address, and of one account; ``0`` is no limit."""
    rate_limit_turns: str = "60/minute"
    """Turns of one account, or of one address where nobody is logged in; ``0`` is no limit."""
    rate_limit_logins: str = "10/minute"
    """Attempts to log in from one address, and under one name; ``0`` is no limit."""
    rate_limit_questions: str = "30/minute"
    """Questions of one account that are to be explained; ``0`` is no limit."""
    rate_limit_exempt: Annotated[tuple[str, ...], NoDecode] = ("local",)
    """Networks that are not limited, separated by commas: ``local`` (this machine), addresses, CIDR; or ``none``."""
    forwarded_allow_ips: str = "127.0.0.1,::1"
    """Proxies whose ``X-Forwarded-For`` is believed, separated by commas: addresses, networks; ``*`` is anybody."""

    request_timeout_seconds: float = Field(default=20, gt=0)
    """Longest that an HTTP request, head and body, may take to come; then it is refused with 408."""
    turn_timeout_seconds: float = Field(default=120, gt=0)
    """Longest a turn may take, pauses not counted."""
    turn_grace_seconds: float = Field(default=30, ge=0)
    """How long a turn runs on when nobody listens."""
    pause_limit_seconds: float = Field(default=300, gt=0)
    """A paused turn goes on by itself after this."""
    store_timeout_seconds: float = Field(default=5, gt=0)
    """Longest wait for a store before it counts as failed."""
    send_timeout_seconds: float = Field(default=20, gt=0)
    """A client that takes no frame for this long is closed with 4408, a stream cut off; it may come back and resume."""
    stream_timeout_seconds: float = Field(default=300, gt=0)
    """Longest that a stream of POST /stream/chat is open; its turn goes on, and it may be resumed."""
    lease_seconds: float = Field(default=5, ge=1)
    """After how long without a sign of life a process counts as dead and others close its turns."""
    shutdown_grace_seconds: float = Field(default=10, ge=0)
    """How long running turns may finish when the server is told to stop."""

    event_log_max_events: int = Field(default=10_000, gt=0)
    """Events kept per thread for replay."""
    event_log_max_age_seconds: float = Field(default=7 * 24 * 3600, gt=0)
    """How long events are kept for replay."""
    history_messages: int = Field(default=40, ge=10)
    """Newest messages of a conversation that a model is given; what was agreed it is told besides."""

    auth_required: bool = False
    """Let nobody in who is not logged in. Needed on an address that others reach, or see ``allow_insecure``."""
    allow_insecure: Annotated[tuple[Literal["auth_off"], ...], NoDecode] = ()
    """What is wanted although it is not safe: ``auth_off`` serves everybody on an address that others reach."""
    jwt_secret: SecretStr | None = None
    """Signs access tokens, 32 bytes or more; empty is one that the server makes and keeps in its database."""
    jwt_algorithm: Literal["HS256", "RS256", "ES256", "EdDSA"] = "HS256"
    """How access tokens are signed; all but HS256 need ``jwt_private_key_file``."""
    jwt_private_key_file: Path | None = None
    """The private key, as PEM."""
    jwt_jwks_url: str | None = None
    """Keys of an identity provider that makes the tokens; nobody logs in here then."""
    jwt_issuer: str = "voztaxi"
    """Who makes the tokens."""
    jwt_audience: str = "voztaxi"
    """Whom the tokens are for."""
    access_token_seconds: int = Field(default=900, gt=0)
    """How long an access token is good."""
    refresh_token_seconds: int = Field(default=30 * 24 * 3600, gt=0)
    """How long a login lasts that is not used."""

    explanation_chunk_characters: int = Field(default=50, ge=1, le=2000)
    """Longest chunk of an explanation, in characters; a client that reads slowly is sent longer ones."""
    explanation_chunk_delay_ms: float = Field(default=50, ge=0, le=5000)
    """Between two chunks of an explanation."""
    explanation_credits: str = "20/day"
    """Answers that are generated for one account; those that are saved cost nothing; ``0`` is no limit."""
    explanation_timeout_seconds: float = Field(default=120, gt=0)
    """Longest that generating an answer may take, its repetitions included; one try may take half of it."""
    explanations_at_once: int = Field(default=4, gt=0)
    """Answers that this process generates at the same time; more questions wait in turn."""
    max_waiting_questions: int = Field(default=200, gt=0)
    """Questions of this process that may wait to be answered."""
    explanation_answers_kept: int = Field(default=10_000, gt=0)
    """Answers that are kept; of more, those go that were asked for longest ago."""
    explanation_session_seconds: float = Field(default=1800, gt=0)
    """How long an explanation can be resumed after the last that happened in it."""

    stt: Annotated[tuple[SttName, ...], NoDecode] = ("auto",)
    """Engines that hear, in the order in which they are tried, separated by commas; ``auto`` is what is set up."""
    tts: Annotated[tuple[TtsName, ...], NoDecode] = ("auto",)
    """Engines that speak, in the order in which they are tried, separated by commas; ``auto`` is what is set up."""
    voice_language: str = Field(default="es", pattern=r"^[a-z]{2}$")
    """What is spoken, as ISO 639-1, where a client does not say."""
    tts_cache_mb: int = Field(default=32, ge=0)
    """Megabytes of sound that are kept of what was said, to be said again at once."""
    voice_sessions: int = Field(default=100, gt=0)
    """Microphones of this process that may be open at once."""
    whisper_model: str = "base"
    """A folder with a CTranslate2 model of Whisper, or the name of one that is then fetched from its hub."""
    whisper_workers: int = Field(default=1, gt=0)
    """Processes that recognise with Whisper; one utterance at a time each."""
    assemblyai_api_key: SecretStr | None = None
    """Key for AssemblyAI's streaming recogniser."""
    assemblyai_url: str = "wss://streaming.assemblyai.com/v3/ws"
    """Address of AssemblyAI's streaming recogniser."""
    deepgram_api_key: SecretStr | None = None
    """Key for Deepgram's streaming recogniser."""
    deepgram_url: str = "wss://api.deepgram.com/v1/listen"
    """Address of Deepgram's streaming recogniser."""
    deepgram_model: str = "nova-3"
    """Deepgram's model."""
    openai_stt_model: str = "gpt-4o-mini-transcribe"
    """Model that transcribes, at the OpenAI-compatible server."""
    kokoro_folder: Path | None = None
    """A folder with ``kokoro.onnx``, ``vocab.json`` and ``voices/``: Kokoro's weights."""
    kokoro_voice: str = Field(default="ef_dora", pattern=r"^[a-z0-9_]+$")
    """A voice in that folder."""
    piper_voice: Path | None = None
    """A voice of the Piper project: its ``.onnx``, with its ``.onnx.json`` beside it."""
    cartesia_api_key: SecretStr | None = None
    """Key for Cartesia's voices."""
    cartesia_url: str = "wss://api.cartesia.ai/tts/websocket"
    """Address of Cartesia's voices."""
    cartesia_model: str = "sonic-3"
    """Cartesia's model."""
    cartesia_voice: str | None = None
    """The id of a voice of Cartesia's."""
    elevenlabs_api_key: SecretStr | None = None
    """Key for ElevenLabs' voices."""
    elevenlabs_url: str = "wss://api.elevenlabs.io"
    """Address of ElevenLabs' voices."""
    elevenlabs_model: str = "eleven_flash_v2_5"
    """ElevenLabs' model."""
    elevenlabs_voice: str | None = None
    """The id of a voice of ElevenLabs'."""
    openai_tts_model: str = "gpt-4o-mini-tts"
    """Model that speaks, at the OpenAI-compatible server."""
    openai_tts_voice: str = "coral"
    """Its voice."""
    voice_timeout_seconds: float = Field(default=10, gt=0)
    """Longest that an engine may take to understand an utterance, or be silent while it speaks, before it failed."""
    vad: Literal["auto", "silero", "energy"] = "auto"
    """What tells speech from other sound; ``auto`` is ``silero`` where it is installed."""
    smart_turn_model: Path | None = None
    """The weights of Smart Turn v3 (``.onnx``), which hear whether a rider is done; empty is silence alone."""
    endpoint_min_silence_ms: int = Field(default=400, ge=100, le=5000)
    """Silence that ends an utterance which sounds complete."""
    endpoint_max_silence_ms: int = Field(default=1400, ge=200, le=10_000)
    """Silence that ends any utterance."""
    max_utterance_seconds: float = Field(default=60, gt=1, le=600)
    """An utterance is cut where it is longer."""
    recordings_folder: Path | None = None
    """Where conversations are recorded of riders who consent; empty records nothing."""
    recording_days: float = Field(default=30, gt=0)
    """How long a recording is kept, in days."""
    recording_consent: str = "Esta llamada se graba para mejorar el servicio."
    """What a rider is told who is recorded."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ("local",)
    """Web origins that may connect, separated by commas: ``local`` (this host, loopback, files), ``*``, addresses."""

    stream_compression: bool = False
    """Compress streams of Server-Sent Events for clients that ask for zstd or gzip."""

    otel_exporter_otlp_endpoint: str | None = None
    """Base address of an OpenTelemetry collector (OTLP over HTTP) that is sent traces; empty makes none."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that is logged."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """``auto`` is ``console`` on a terminal and ``json`` elsewhere."""
    log_file: Path | None = None
    """Also write the log, as JSON lines, to this file (``app.log``)."""
    log_personal: bool = False
    """Log what people said; without it such fields are masked."""
    debug: bool = False
    """Log at DEBUG and in full."""

    @model_validator(mode="before")
    @classmethod
    def _read_lists(cls, values: dict[str, object]) -> dict[str, object]:
        """Split comma lists, and take an empty value for one that is not set."""
        read = {key: value for key, value in values.items() if value != ""}
        for name in ("coverage", "stt", "tts", "allowed_origins", "allow_insecure", "rate_limit_exempt"):
            value = read.get(name)
            if isinstance(value, str):
                read[name] = tuple(part.strip() for part in value.split(",") if part.strip())
        return read

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        """Refuse at the start what could only fail later."""
        if self.llm == "openai" and self.openai_api_key is None and self.openai_base_url is None:
            raise ValueError("LLM=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server without keys")
        for name in ("dispatch_url", "fleet_url"):
            if (address := getattr(self, name)) is not None:
                _check_address(name.upper(), address)
                if self.dispatch_secret is None:
                    raise ValueError(f"{name.upper()} needs DISPATCH_SECRET, with which messages are signed")
        if self.otel_exporter_otlp_endpoint is not None:
            _check_address("OTEL_EXPORTER_OTLP_ENDPOINT", self.otel_exporter_otlp_endpoint)
        if self.dispatch_secret is not None:
            read_signer(self.dispatch_secret)
        self._check_auth()
        self._check_rates()
        try:
            url = make_url(self.database_url)
        except ArgumentError as error:
            raise ValueError("DATABASE_URL cannot be read as a database address") from error
        if self.database_kind == "sqlite":
            if url.drivername != "sqlite+aiosqlite" or url.database in (None, "", ":memory:"):
                raise ValueError(
                    "DATABASE_URL must be sqlite+aiosqlite:///FILE, postgresql+asyncpg://USER@HOST/NAME or memory://"
                )
            if not Path(url.database).absolute().parent.is_dir():
                raise ValueError("the folder of the DATABASE_URL does not exist")
        if self.checkpointer_type == "postgres" and self.database_kind != "postgres":
            raise ValueError("CHECKPOINTER_TYPE=postgres needs a DATABASE_URL that is Postgres's")
        if self.checkpointer_type == "redis" and self.redis_url is None:
            raise ValueError("CHECKPOINTER_TYPE=redis needs REDIS_URL")
        return self

    def _check_auth(self) -> None:
        if (self.jwt_algorithm == "HS256") != (self.jwt_private_key_file is None):
            raise ValueError("JWT_ALGORITHM and JWT_PRIVATE_KEY_FILE go together; HS256 has a secret instead")
        if self.jwt_jwks_url is not None:
            _check_address("JWT_JWKS_URL", self.jwt_jwks_url)

    def _check_rates(self) -> None:
        for name in _RATES:
            try:
                read_rate(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name.upper()} {error}") from error
        try:
            read_networks(self.rate_limit_exempt)
        except ValueError as error:
            raise ValueError(f"RATE_LIMIT_EXEMPT: {error}") from error
        try:
            read_proxies(self.forwarded_allow_ips)
        except ValueError as error:
            raise ValueError(f"FORWARDED_ALLOW_IPS: {error}") from error

    @property
    def is_private(self) -> bool:
        """Whether nobody but this machine may be served: nobody has to log in, and that is not for everybody."""
        return not self.auth_required and "auth_off" not in self.allow_insecure

    @property
    def exposure(self) -> str | None:
        """Say why the server may not start on its address; None where it may."""
        if not self.is_private or is_loopback(self.host):
            return None
        return (
            f"HOST={self.host} is an address that others reach: set AUTH_REQUIRED=true, "
            "or ALLOW_INSECURE=auth_off where everybody may come in"
        )

    @property
    def in_memory(self) -> bool:
        """Whether nothing outlives the process."""
        return self.database_url.startswith("memory:")

    @property
    def database_kind(self) -> Literal["memory", "sqlite", "postgres"]:
        """What kind of database it is."""
        if self.in_memory:
            return "memory"
        return "postgres" if self.database_url.startswith("postgresql+asyncpg:") else "sqlite"

    @property
    def shown_database_url(self) -> str:
        """``database_url`` as it may be shown: without the password."""
        return make_url(self.database_url).render_as_string(hide_password=True)

    @field_serializer("database_url")
    def _hide_password(self, _value: str) -> str:
        return self.shown_database_url

    @property
    def model_kind(self) -> Literal["offline", "openai"]:
        """Which chat model is used."""
        if self.llm == "auto":
            return "openai" if self.openai_api_key is not None else "offline"
        return self.llm

    @property
    def checkpointer_kind(self) -> Literal["memory", "sqlite", "postgres", "redis"]:
        """Where checkpoints are kept."""
        return self.database_kind if self.checkpointer_type == "auto" else self.checkpointer_type

    @property
    def effective_log_level(self) -> str:
        """``log_level``, or DEBUG where ``debug`` is set."""
        return "DEBUG" if self.debug else self.log_level


def _check_address(name: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f"{name} must be an http:// or https:// address without a query")
