# Earwitness on the CPU:
#   docker build -t earwitness .
#   docker run --rm -v "$PWD:/work" earwitness demo --out demo
FROM python:3.11-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir "hatchling>=1.24"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m hatchling build --target wheel --directory /wheels

FROM python:3.11-slim
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /wheels
# torch first, the CPU's build: any other specifier may pull gigabytes of CUDA libraries
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
        "torch==$(sed -n 's/^torch==//p' /tmp/constraints.txt)" \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt "$(echo /wheels/*.whl)[hf,onnx]" \
    && rm -r /wheels /tmp/constraints.txt
# nothing here needs root, and what is written belongs to whoever mounts the folder
RUN useradd --create-home --uid 1000 earwitness
USER 1000
WORKDIR /work
ENTRYPOINT ["earwitness"]
CMD ["--help"]
