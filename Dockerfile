# A PostgreSQL 15 server of Debian's with Lagoon, built from this checkout:
#
#   docker build -t lagoon .
#   docker run -d --name lagoon -v lagoon:/var/lib/postgresql -p 5432:5432 lagoon
#   docker exec -u postgres lagoon psql -c 'CREATE EXTENSION lagoon'
#
# The steps are those of docs/install.md, by the same scripts; docs/install.md has more on running it.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates make
COPY --from=rust:1.95-slim-bookworm /usr/local/cargo /usr/local/cargo
COPY --from=rust:1.95-slim-bookworm /usr/local/rustup /usr/local/rustup
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup PATH=/usr/local/cargo/bin:$PATH
ENV LAGOON_CACHE=/build LAGOON_SHARE=/build/share
WORKDIR /lagoon
# In a layer of their own: they change less often than the sources.
COPY Makefile ./
COPY scripts ./scripts
RUN make build-deps
COPY . .
# The time of all files in the packages; without it, that of CHANGELOG.md.
ARG SOURCE_DATE_EPOCH
RUN make package

FROM debian:bookworm-slim
COPY --from=build /build/package/*.deb /tmp/packages/
# postgresql-15 makes the cluster 15/main. The volume begins as a copy of it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends /tmp/packages/*.deb \
    && rm -rf /tmp/packages /var/lib/apt/lists/* \
    && pg_conftool 15 main set shared_preload_libraries lagoon \
    && pg_conftool 15 main set listen_addresses '*' \
    && echo 'host all all all scram-sha-256' >>/etc/postgresql/15/main/pg_hba.conf
USER postgres
VOLUME /var/lib/postgresql
EXPOSE 5432
STOPSIGNAL SIGINT
CMD ["pg_ctlcluster", "--foreground", "15", "main", "start"]
