//! What the container has of its machine: limits, rights, devices, where its output goes.

use super::{Facts, Recipe, Yaml, at, secrets, size};
use crate::format::docker::host_config::{Device, DeviceRequest, HostConfig, Throttle};

/// moby v28 daemon/config/config.go DefaultShmSize
const SHM_SIZE: i64 = 64 << 20;

impl Recipe {
    /// Adds all that is neither a network nor a mount.
    pub(super) fn machine(&mut self, machine: &HostConfig, facts: &Facts<'_>) {
        let restart = machine.restart_policy.text();
        if restart != "no" {
            self.text("--restart", "restart", &restart);
        }
        self.on("--rm", "", machine.auto_remove);
        if machine.auto_remove {
            self.note("with --rm Docker removes the container when it ends");
        }
        self.limits(machine);
        self.disks(machine);
        self.rights(machine);
        self.spaces(machine);
        for device in &machine.devices {
            self.item("--device", "devices", path_of(device));
        }
        for request in &machine.device_requests {
            self.request(request);
        }
        self.each("--device-cgroup-rule", "device_cgroup_rules", &machine.device_cgroup_rules);
        self.logs(machine, facts);
    }

    fn limits(&mut self, machine: &HostConfig) {
        self.bytes("--memory", "mem_limit", machine.memory, 0);
        // Docker allows as much again of swap unless it is told how much.
        let swap = machine.memory.saturating_mul(2);
        if machine.memory_swap != swap || machine.memory == 0 {
            self.bytes("--memory-swap", "memswap_limit", machine.memory_swap, 0);
        }
        self.bytes("--memory-reservation", "mem_reservation", machine.memory_reservation, 0);
        if let Some(swappiness) = machine.memory_swappiness {
            self.number("--memory-swappiness", "mem_swappiness", swappiness, -1);
        }
        if machine.nano_cpus != 0 {
            let cpus = size::cpus(machine.nano_cpus);
            self.add("--cpus", Some(cpus.clone()), vec![at(&["cpus"], Yaml::Plain(cpus))]);
        }
        self.number("--cpu-shares", "cpu_shares", machine.cpu_shares, 0);
        self.number("--cpu-period", "cpu_period", machine.cpu_period, 0);
        self.number("--cpu-quota", "cpu_quota", machine.cpu_quota, 0);
        self.number("--cpu-rt-period", "cpu_rt_period", machine.cpu_realtime_period, 0);
        self.number("--cpu-rt-runtime", "cpu_rt_runtime", machine.cpu_realtime_runtime, 0);
        self.text("--cpuset-cpus", "cpuset", &machine.cpuset_cpus);
        if !machine.cpuset_mems.is_empty() {
            self.add("--cpuset-mems", Some(machine.cpuset_mems.clone()), Vec::new());
        }
        self.number("--pids-limit", "pids_limit", machine.pids_limit.unwrap_or(0), 0);
        let shm = if machine.shm_size == 0 { SHM_SIZE } else { machine.shm_size };
        self.bytes("--shm-size", "shm_size", shm, SHM_SIZE);
        for limit in &machine.ulimits {
            let number = |value: i64| Yaml::Plain(value.to_string());
            let value = format!("{}={}:{}", limit.name, limit.soft, limit.hard);
            let soft = at(&["ulimits", &limit.name, "soft"], number(limit.soft));
            let hard = at(&["ulimits", &limit.name, "hard"], number(limit.hard));
            self.add("--ulimit", Some(value), vec![soft, hard]);
        }
        self.number("--oom-score-adj", "oom_score_adj", machine.oom_score_adj, 0);
        self.on("--oom-kill-disable", "oom_kill_disable", machine.oom_kill_disable == Some(true));
    }

    fn disks(&mut self, machine: &HostConfig) {
        let weight = i64::try_from(machine.blkio_weight).unwrap_or_default();
        if weight != 0 {
            let plain = at(&["blkio_config", "weight"], Yaml::Plain(weight.to_string()));
            self.add("--blkio-weight", Some(weight.to_string()), vec![plain]);
        }
        let throttles: [(&'static str, &str, &[Throttle]); 4] = [
            ("--device-read-bps", "device_read_bps", &machine.blkio_device_read_bps),
            ("--device-write-bps", "device_write_bps", &machine.blkio_device_write_bps),
            ("--device-read-iops", "device_read_iops", &machine.blkio_device_read_iops),
            ("--device-write-iops", "device_write_iops", &machine.blkio_device_write_iops),
        ];
        for (option, key, all) in throttles {
            for Throttle { path, rate } in all {
                let members = vec![
                    ("path".to_owned(), Yaml::Text(path.clone())),
                    ("rate".to_owned(), Yaml::Plain(rate.to_string())),
                ];
                let item = at(&["blkio_config", key], Yaml::Item(Box::new(Yaml::Map(members))));
                self.add(option, Some(format!("{path}:{rate}")), vec![item]);
            }
        }
        for (key, value) in &machine.storage_opt {
            let compose = at(&["storage_opt", key], Yaml::Text(value.clone()));
            self.add("--storage-opt", Some(format!("{key}={value}")), vec![compose]);
        }
    }

    fn rights(&mut self, machine: &HostConfig) {
        self.on("--privileged", "privileged", machine.privileged);
        self.each("--cap-add", "cap_add", &machine.cap_add);
        self.each("--cap-drop", "cap_drop", &machine.cap_drop);
        let is_said = |option: &&String| {
            // Docker adds this itself (moby v28 daemon/create.go generateSecurityOpt).
            let shares =
                machine.privileged || machine.ipc_mode == "host" || machine.pid_mode == "host";
            !(shares && *option == "label=disable")
        };
        let options: Vec<String> = machine.security_opt.iter().filter(is_said).cloned().collect();
        self.each("--security-opt", "security_opt", &options);
        let is_open = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(Vec::is_empty);
        let all_open = is_open(&machine.masked_paths) && is_open(&machine.readonly_paths);
        if all_open && !machine.privileged {
            self.item("--security-opt", "security_opt", "systempaths=unconfined".to_owned());
        }
        self.on("--read-only", "read_only", machine.readonly_rootfs);
        self.each("--group-add", "group_add", &machine.group_add);
        for (key, value) in &machine.sysctls {
            self.item("--sysctl", "sysctls", format!("{key}={value}"));
        }
        for (key, value) in &machine.annotations {
            let compose = at(&["annotations", key], Yaml::Text(value.clone()));
            self.add("--annotation", Some(format!("{key}={value}")), vec![compose]);
        }
    }

    fn spaces(&mut self, machine: &HostConfig) {
        if machine.ipc_mode != "private" {
            self.text("--ipc", "ipc", &machine.ipc_mode);
        }
        self.text("--pid", "pid", &machine.pid_mode);
        self.text("--uts", "uts", &machine.uts_mode);
        self.text("--userns", "userns_mode", &machine.userns_mode);
        if machine.cgroupns_mode == "host" && !machine.privileged {
            self.note("it sees the machine's cgroups, as is usual where cgroups have version 1; elsewhere add --cgroupns host");
        }
        self.text("--cgroup-parent", "cgroup_parent", &machine.cgroup_parent);
        if machine.runtime != "runc" {
            self.text("--runtime", "runtime", &machine.runtime);
        }
        if let Some(init) = machine.init {
            let compose = vec![at(&["init"], Yaml::Plain(init.to_string()))];
            self.add("--init", (!init).then(|| "false".to_owned()), compose);
        }
    }

    fn request(&mut self, request: &DeviceRequest) {
        if request.driver == "cdi" {
            self.each("--device", "devices", &request.ids);
            return;
        }
        let is_gpu = |all: &Vec<String>| all.iter().any(|one| one == "gpu");
        if !request.capabilities.iter().any(is_gpu) {
            self.note(format!("it asked for devices of `{}`, which no option can", request.driver));
            return;
        }
        let value = match (request.ids.as_slice(), request.count) {
            ([], -1) => "all".to_owned(),
            ([], count) => count.to_string(),
            (ids, _) => format!("\"device={}\"", ids.join(",")),
        };
        self.add("--gpus", Some(value), Vec::new());
        self.compose_notes
            .push("a compose file has its GPUs below deploy.resources; add them there".to_owned());
    }

    /// json-file without options is what Docker takes unless its configuration says otherwise.
    fn logs(&mut self, machine: &HostConfig, facts: &Facts<'_>) {
        let logs = &machine.log_config;
        if !matches!(logs.driver.as_str(), "" | "json-file") || !logs.options.is_empty() {
            let driver = at(&["logging", "driver"], Yaml::Text(logs.driver.clone()));
            self.add("--log-driver", Some(logs.driver.clone()), vec![driver]);
        }
        for (key, value) in &logs.options {
            let masked = secrets::masked(key, value).filter(|_| !facts.show_secrets);
            self.masked.extend(masked.is_some().then(|| key.clone()));
            let value = masked.unwrap_or_else(|| value.clone());
            let compose = at(&["logging", "options", key], Yaml::Text(value.clone()));
            self.add("--log-opt", Some(format!("{key}={value}")), vec![compose]);
        }
    }
}

fn path_of(device: &Device) -> String {
    let Device { path_on_host, path_in_container, cgroup_permissions } = device;
    match (path_in_container == path_on_host, cgroup_permissions.as_str()) {
        (true, "" | "rwm") => path_on_host.clone(),
        (_, "") => format!("{path_on_host}:{path_in_container}"),
        _ => format!("{path_on_host}:{path_in_container}:{cgroup_permissions}"),
    }
}
