//! burn's router, with `flex` behind it and a counter before it.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn_backend::{
    Backend, DType, DTypeUsageSet, DeviceId, DeviceOps, DeviceSettings, ExecutionError, Shape,
    TensorData,
};
use burn_flex::{Flex, FlexDevice};
use burn_ir::{BackendIr, GraphBindings, GraphId, OperationIr, TensorId, TensorIr};
use burn_router::{
    BackendRouter, Graph, MultiBackendBridge, RouterChannel, RouterClient, RouterTensor,
    TensorInterpreter, get_client,
};
use burn_std::device::Device;
use burn_std::future::DynFut;

use crate::counts::{Counter, Counts};

/// The backend, by the name that burn has for its place.
pub type NdArray = BackendRouter<Counting>;

/// A device that counts for itself; any number of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NdArrayDevice {
    /// The first.
    #[default]
    Cpu,
    /// One more.
    Number(NonZeroU16),
}

impl NdArrayDevice {
    /// The device of this number.
    pub fn new(index: u16) -> Self {
        NonZeroU16::new(index).map_or(Self::Cpu, Self::Number)
    }

    /// What it was told since this was last asked.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut get_client::<Counting>(self).state().counter.counts)
    }
}

impl Device for NdArrayDevice {
    fn from_id(id: DeviceId) -> Self {
        Self::new(id.index_id)
    }

    fn to_id(&self) -> DeviceId {
        let index = match self {
            Self::Cpu => 0,
            Self::Number(index) => index.get(),
        };
        DeviceId {
            type_id: 0,
            index_id: index,
        }
    }
}

impl DeviceOps for NdArrayDevice {
    /// As LibTorch has them: `flex` has integers of 32 bits.
    fn defaults(&self) -> DeviceSettings {
        let flex = FlexDevice.defaults();
        DeviceSettings::new(flex.float_dtype, DType::I64, flex.bool_dtype, flex.quantization)
    }
}

/// Leads to `flex`.
#[derive(Clone)]
pub struct Counting;

type Handle = <Flex as BackendIr>::Handle;

impl RouterChannel for Counting {
    type Device = NdArrayDevice;
    type Bridge = SameMemory;
    type Client = Client;

    fn name(_: &Self::Device) -> String {
        "counting".to_owned()
    }

    fn init_client(device: &Self::Device) -> Client {
        Client {
            device: *device,
            state: Arc::new(Mutex::new(State {
                counter: Counter::default(),
                flex: TensorInterpreter::new(FlexDevice),
            })),
        }
    }

    fn get_tensor_handle(tensor: &TensorIr, client: &Client) -> Handle {
        client.state().flex.get_tensor_handle(tensor)
    }

    fn register_tensor(
        client: &Client,
        handle: Handle,
        shape: Shape,
        dtype: DType,
    ) -> RouterTensor<Client> {
        let id = client.create_empty_handle();
        client.state().flex.register_tensor_to_device(id, handle);
        RouterTensor::new(id, shape, dtype, client.clone())
    }
}

/// Between two such devices nothing moves.
pub struct SameMemory;

impl MultiBackendBridge for SameMemory {
    type TensorHandle = Handle;
    type Device = NdArrayDevice;

    fn change_backend_float(tensor: Handle, _: Shape, _: &NdArrayDevice) -> Handle {
        tensor
    }

    fn change_backend_int(tensor: Handle, _: Shape, _: &NdArrayDevice) -> Handle {
        tensor
    }

    fn change_backend_bool(tensor: Handle, _: Shape, _: &NdArrayDevice) -> Handle {
        tensor
    }
}

struct State {
    counter: Counter,
    flex: TensorInterpreter<Flex>,
}

/// What a device's tensors hold on to.
#[derive(Clone)]
pub struct Client {
    device: NdArrayDevice,
    state: Arc<Mutex<State>>,
}

impl Client {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RouterClient for Client {
    type Device = NdArrayDevice;

    fn register_op(&self, operation: OperationIr) {
        let mut state = self.state();
        state.counter.told(&operation);
        state.flex.register_op(operation);
    }

    fn read_tensor_async(&self, tensor: TensorIr) -> DynFut<Result<TensorData, ExecutionError>> {
        let mut state = self.state();
        let bytes = tensor.shape.num_elements() * tensor.dtype.size();
        state.counter.counts.copies_down += 1;
        state.counter.counts.bytes_down += bytes as u64;
        state.flex.read_tensor_async(tensor)
    }

    fn sync(&self) -> Result<(), ExecutionError> {
        self.state().flex.sync()
    }

    fn flush(&self) {}

    fn create_empty_handle(&self) -> TensorId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        TensorId::new(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn register_tensor_data(&self, data: TensorData) -> RouterTensor<Self> {
        let id = self.create_empty_handle();
        let (shape, dtype) = (data.shape().clone(), data.dtype());
        let mut state = self.state();
        state.counter.counts.copies_up += 1;
        state.counter.counts.bytes_up += (shape.num_elements() * dtype.size()) as u64;
        state.flex.register_tensor_data_id(id, data);
        RouterTensor::new(id, shape, dtype, self.clone())
    }

    fn device(&self) -> NdArrayDevice {
        self.device
    }

    fn seed(&self, seed: u64) {
        Flex::seed(&FlexDevice, seed);
    }

    fn dtype_usage(&self, dtype: DType) -> DTypeUsageSet {
        Flex::dtype_usage(&FlexDevice, dtype)
    }

    fn register_and_execute_graph(
        &self,
        _: GraphId,
        graph: Vec<OperationIr>,
        bindings: GraphBindings,
    ) {
        for operation in Graph::new(graph).bind(bindings).operations {
            self.register_op(operation);
        }
    }

    fn execute_graph(&self, _: GraphId, _: GraphBindings) {
        unimplemented!("only fusion replays graphs, and nothing is fused here")
    }

    fn register_alias(&self, new: TensorId, of: TensorId) {
        self.state().flex.register_alias(new, of);
    }
}
