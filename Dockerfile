# Tocsin in a container: `docker build --tag tocsin:0.1.0 .`
# One image for every role; the role is the command: serve, worker, backup …

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Dependencies first: they change less often than the code, and so stay in a layer of their own. Only what Tocsin
# needs to run is installed (not the tools of its tests), in the versions of the lock.
COPY pyproject.toml requirements.lock deploy/runtime-requirements ./
RUN python runtime-requirements pyproject.toml > runtime.txt
RUN python -m venv /opt/tocsin
RUN /opt/tocsin/bin/python -m pip install --constraint requirements.lock --requirement runtime.txt
COPY README.md LICENSE ./
COPY schemas schemas
COPY detectors detectors
COPY engine engine
COPY sources sources
COPY projections projections
COPY notifiers notifiers
COPY web web
COPY packs packs
COPY demo demo
RUN python -m pip wheel --no-deps --wheel-dir dist .
RUN /opt/tocsin/bin/python -m pip install --no-deps --no-index --find-links dist tocsin \
    && /opt/tocsin/bin/python -m pip check \
    && /opt/tocsin/bin/tocsin --version

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore, for `tocsin backup` and `tocsin restore`: as new as the server, or newer.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/*
# A number and not a name in USER, so that Kubernetes can see that it is not root.
RUN groupadd --gid 10001 tocsin \
    && useradd --uid 10001 --gid tocsin --home-dir /var/lib/tocsin --no-create-home --shell /usr/sbin/nologin tocsin \
    && install --directory --owner tocsin --group tocsin --mode 0750 /var/lib/tocsin /srv/backups /srv/archive \
    && install --directory --owner tocsin --group tocsin --mode 0755 /srv/rules \
    && install --directory --mode 0755 /etc/tocsin /etc/tocsin/secrets
COPY --from=build /opt/tocsin /opt/tocsin
ENV PATH=/opt/tocsin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TOCSIN_CONFIG=/etc/tocsin/tocsin.yaml
WORKDIR /var/lib/tocsin
VOLUME /var/lib/tocsin
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether inputs are accepted and judged, not only whether the process is there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/-/ready', timeout=4)"]
ENTRYPOINT ["tocsin"]
CMD ["serve"]
