# One image for every process of mdc; docker-compose.yml says which one runs.
FROM python:3.13-slim

RUN useradd --create-home mdc \
    && install --directory --owner=mdc /var/lib/mdc
WORKDIR /app

# Dependencies first: they change less often than the code.
COPY pyproject.toml constraints.txt ./
RUN mkdir mdc && touch mdc/__init__.py \
    && pip install --no-cache-dir --constraint constraints.txt --editable .

COPY manage.py ./
COPY mdc mdc
COPY ingestion ingestion
COPY providers providers
COPY templates templates

ENV PYTHONPATH=/app \
    MDC_HOME=/var/lib/mdc \
    MDC_STATIC_ROOT=/app/staticfiles \
    PYTHONUNBUFFERED=1
RUN python manage.py collectstatic --noinput

USER mdc
CMD ["python", "-m", "uvicorn", "mdc.asgi:application", "--host", "0.0.0.0", "--port", "8420"]
