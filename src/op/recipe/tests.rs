use insta::assert_snapshot;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

struct Made {
    runs: RunConfig,
    image: RunConfig,
    machine: HostConfig,
    networks: NetworkSettings,
}

impl Made {
    fn of(runs: Value, image: Value, machine: Value, networks: Value) -> Self {
        Self {
            runs: RunConfig::deserialize(runs).expect("a config"),
            image: RunConfig::deserialize(image).expect("a config"),
            machine: HostConfig::deserialize(machine).expect("a host config"),
            networks: NetworkSettings::deserialize(networks).expect("networks"),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            id: "d0e9fc8535fdab44",
            name: "web",
            is_started: true,
            runs: &self.runs,
            image: Some(&self.image),
            machine: Some(&self.machine),
            networks: &self.networks,
            mounts: &[],
            platform: None,
            show_secrets: false,
        }
    }

    fn recipe(&self) -> Recipe {
        Recipe::of(&self.facts())
    }
}

fn shown(recipe: &Recipe) -> String {
    let line =
        |words: Vec<String>| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    recipe.command().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rich() -> Made {
    Made::of(
        json!({
            "Hostname": "web-1", "Domainname": "lan", "User": "1000:1000", "Tty": true, "OpenStdin": true,
            "Env": ["TOKEN=s3cret", "URL=pg://me:pw@db/x", "ODD=a=b \"c\" é $x", "PATH=/bin"], "Cmd": ["serve", "--it's"],
            "Image": "nginx:1", "WorkingDir": "/srv", "Entrypoint": ["/go"], "Labels": {"app": "1", "of.image": "x"},
            "ExposedPorts": {"80/tcp": {}, "90/tcp": {}, "99/udp": {}}, "StopSignal": "SIGINT", "StopTimeout": 30,
            "Healthcheck": {"Test": ["CMD", "ask", "how are you"], "Interval": 5_000_000_000_i64, "Retries": 2},
        }),
        json!({
            "Env": ["PATH=/bin", "GONE=1"], "Cmd": ["nginx"], "Labels": {"of.image": "x"}, "ExposedPorts": {"90/tcp": {}},
        }),
        json!({
            "Binds": ["vol1:/data", "/srv/www:/www:ro,z"], "NetworkMode": "front", "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "8080"}], "53/udp": [{"HostIp": "", "HostPort": ""}]},
            "Memory": 536_870_912, "MemorySwap": 1_073_741_824, "NanoCpus": 1_500_000_000, "PidsLimit": 100, "ShmSize": 134_217_728,
            "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}], "Dns": ["1.1.1.1"], "ExtraHosts": ["db:10.0.0.1"],
            "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": true, "Init": false,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}, "Runtime": "runc", "IpcMode": "private", "PidMode": "host",
            "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
            "Tmpfs": {"/run": "size=1m"}, "Sysctls": {"net.ipv4.ip_forward": "1"},
            "DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}],
            "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 448}},
                {"Type": "volume", "Source": "a,b", "Target": "/v", "ReadOnly": true, "VolumeOptions": {"NoCopy": true, "Labels": {"k": "v"}}}],
        }),
        json!({"Networks": {"front": {"Aliases": ["www", "d0e9fc8535fd"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
            "back": {"Aliases": ["db"], "GwPriority": 1}}}),
    )
}

#[test]
fn a_command_says_what_was_asked_for_and_no_more() {
    let recipe = rich().recipe();
    assert_snapshot!(shown(&recipe), @r#"
    docker run
    --name web
    --detach
    --interactive
    --tty
    --hostname web-1
    --domainname lan
    --network front
    --network-alias www
    --ip 10.1.0.9
    --network name=back,alias=db,gw-priority=1
    --publish 53/udp
    --publish 127.0.0.1:8080:80
    --publish '[::1]:8080:80'
    --expose 99/udp
    --dns 1.1.1.1
    --add-host db:10.0.0.1
    --volume vol1:/data
    --volume /srv/www:/www:ro,z
    --mount type=tmpfs,dst=/t,tmpfs-size=1024,tmpfs-mode=700
    --mount 'type=volume,"src=a,b",dst=/v,readonly,volume-nocopy=true,volume-label=k=v'
    --tmpfs /run:size=1m
    --restart on-failure:3
    --memory 512m
    --cpus 1.5
    --pids-limit 100
    --shm-size 128m
    --ulimit nofile=1024:2048
    --cap-add CAP_NET_ADMIN
    --cap-drop ALL
    --security-opt no-new-privileges
    --read-only
    --sysctl net.ipv4.ip_forward=1
    --pid host
    --init=false
    --device /dev/fuse
    --gpus all
    --log-driver json-file
    --log-opt max-size=10m
    --env 'TOKEN=***'
    --env 'URL=pg://me:***@db/x'
    --env 'ODD=a=b "c" é $x'
    --label app=1
    --user 1000:1000
    --workdir /srv
    --stop-signal SIGINT
    --stop-timeout 30
    --health-cmd 'ask '\''how are you'\'''
    --health-interval 5s
    --health-retries 2
    --entrypoint /go
    nginx:1 serve '--it'\''s'
    "#);
    assert_eq!(recipe.masked, ["TOKEN", "URL"]);
    assert_eq!(recipe.notes, ["its image sets GONE, which the container does not have"]);
    assert_eq!(recipe.compose_notes.len(), 1);
}

#[test]
fn a_compose_file_says_the_same() {
    assert_snapshot!(compose(&[rich().recipe()]), @r#"
    services:
      web:
        image: "nginx:1"
        container_name: web
        stdin_open: true
        tty: true
        hostname: web-1
        domainname: lan
        networks:
          front:
            aliases:
              - www
            ipv4_address: "10.1.0.9"
          back:
            aliases:
              - db
        ports:
          - "53/udp"
          - "127.0.0.1:8080:80"
          - "[::1]:8080:80"
        expose:
          - "99/udp"
        dns:
          - "1.1.1.1"
        extra_hosts:
          - "db:10.0.0.1"
        volumes:
          - "vol1:/data"
          - "/srv/www:/www:ro,z"
          - type: tmpfs
            target: /t
            tmpfs:
              size: 1024
              mode: 448
          - type: volume
            source: "a,b"
            target: /v
            read_only: true
            volume:
              nocopy: true
        tmpfs:
          - "/run:size=1m"
        restart: "on-failure:3"
        mem_limit: "512m"
        cpus: 1.5
        pids_limit: 100
        shm_size: "128m"
        ulimits:
          nofile:
            soft: 1024
            hard: 2048
        cap_add:
          - CAP_NET_ADMIN
        cap_drop:
          - ALL
        security_opt:
          - no-new-privileges
        read_only: true
        sysctls:
          - "net.ipv4.ip_forward=1"
        pid: host
        init: false
        devices:
          - /dev/fuse
        logging:
          driver: json-file
          options:
            max-size: "10m"
        environment:
          - "TOKEN=***"
          - "URL=pg://me:***@db/x"
          - "ODD=a=b \"c\" é $$x"
        labels:
          - "app=1"
        user: "1000:1000"
        working_dir: /srv
        stop_signal: SIGINT
        stop_grace_period: "30s"
        healthcheck:
          test:
            - CMD
            - ask
            - "how are you"
          interval: "5s"
          retries: 2
        entrypoint:
          - /go
        command:
          - serve
          - "--it's"
    networks:
      front:
        external: true
      back:
        external: true
    volumes:
      vol1:
        external: true
      "a,b":
        external: true
    "#);
}

#[test]
fn what_the_image_says_is_left_out() {
    let image = json!({"Env": ["A=1"], "Cmd": ["sh"], "Entrypoint": ["/e"], "Labels": {"a": "1"}, "User": "u",
        "WorkingDir": "/w", "StopSignal": "SIGINT", "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Retries": 3},
        "ExposedPorts": {"80/tcp": {}}});
    let mut runs = image.clone();
    runs["Image"] = "i".into();
    runs["AttachStdout"] = true.into();
    runs["Hostname"] = "d0e9fc8535fd".into();
    let machine = json!({"NetworkMode": "bridge", "IpcMode": "private", "Runtime": "runc", "ShmSize": 67_108_864,
        "LogConfig": {"Type": "json-file"}, "RestartPolicy": {"Name": "no"}, "MaskedPaths": ["/x"]});
    let made = Made::of(runs, image, machine, json!({"Networks": {"bridge": {}}}));
    assert_eq!(shown(&made.recipe()), "docker run\n--name web\ni");
    let never = Facts { is_started: false, ..made.facts() };
    assert_eq!(shown(&Recipe::of(&never)), "docker create\n--name web\ni");
}

#[test]
fn an_entrypoint_of_the_user_s_is_told_with_its_command() {
    for (runs, image, wanted) in [
        (json!([["e"], ["c"]]), json!([["e"], ["c"]]), "i"),
        (json!([["e"], ["d"]]), json!([["e"], ["c"]]), "i d"),
        (json!([["e"], []]), json!([["e"], ["c"]]), "--entrypoint e i"),
        (json!([[], ["c"]]), json!([["e"], ["c"]]), "--entrypoint '' i c"),
        (json!([["f", "g"], ["c"]]), json!([[], ["c"]]), "--entrypoint f i g c"),
    ] {
        let config = |both: &Value| json!({"Image": "i", "AttachStdout": true, "Entrypoint": both[0], "Cmd": both[1]});
        let made = Made::of(config(&runs), config(&image), json!({}), json!({}));
        let told = shown(&made.recipe()).replace('\n', " ");
        assert_eq!(told, format!("docker run --name web {wanted}"), "{runs} of {image}");
    }
}

#[test]
fn what_is_gone_is_said() {
    let made = rich();
    let recipe = Recipe::of(&Facts { image: None, machine: None, ..made.facts() });
    assert!(recipe.notes[0].contains("image is gone"), "{:?}", recipe.notes);
    assert!(recipe.notes[1].contains("hostconfig.json is gone"), "{:?}", recipe.notes);
    assert!(shown(&recipe).contains("--env PATH=/bin"));
    let told = Recipe::of(&Facts { show_secrets: true, ..made.facts() });
    assert!(shown(&told).contains("--env TOKEN=s3cret") && told.masked.is_empty());
}
