"""HTTP/2 (RFC 9113), by the package ``h2`` of the extra ``geuwsgi[http2]``."""
