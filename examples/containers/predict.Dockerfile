# Prediction alone, without PyTorch: about 600 MB. In a copy of the repository:
#     docker build -f examples/containers/predict.Dockerfile -t kdtools-predict .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" kdtools-predict kd-predict face68 photos/ -o points.csv
FROM python:3.11-slim
WORKDIR /opt/kdtools
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY man man
COPY completions completions
COPY kdtools kdtools
RUN pip install --no-cache-dir -r requirements/predict.txt && pip install --no-cache-dir --no-deps .
WORKDIR /data
ENV HOME=/tmp
CMD ["kd-predict", "--help"]
