"""Packages whose submodules are imported when a name of theirs is first asked for.

Importing all layers costs several times what a program needs that uses three of them. A package
that calls `attach` keeps a table of its public names instead; each is imported on first access and
then is an ordinary attribute.
"""

# The layers by the file in modules/ that defines them.
LAYERS = {
    "module": "Module",
    "container": "Container Sequential ModuleList ModuleDict ParameterList ParameterDict",
    "linear": "Identity Linear Bilinear LazyLinear",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d "
    "LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
    "activation": "Threshold ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish "
    "Hardswish ELU CELU SELU GLU GELU Hardshrink LeakyReLU LogSigmoid Softplus Softshrink PReLU "
    "Softsign Tanhshrink Softmin Softmax Softmax2d LogSoftmax MultiheadAttention",
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d "
    "LazyBatchNorm3d SyncBatchNorm",
    "instancenorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d "
    "LazyInstanceNorm2d LazyInstanceNorm3d",
    "normalization": "LocalResponseNorm CrossMapLRN2d LayerNorm GroupNorm RMSNorm",
    "dropout": "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
    "padding": "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d "
    "ConstantPad3d ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d "
    "ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d",
    "pooling": "MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d AvgPool1d "
    "AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d "
    "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d "
    "AdaptiveAvgPool3d",
    "sparse": "Embedding EmbeddingBag",
    "rnn": "RNNBase RNN LSTM GRU RNNCellBase RNNCell LSTMCell GRUCell",
    "transformer": "Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer "
    "TransformerDecoderLayer",
    "upsampling": "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "channelshuffle": "ChannelShuffle",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "distance": "PairwiseDistance CosineSimilarity",
    "adaptive": "AdaptiveLogSoftmaxWithLoss",
    "linear_cross_entropy_options": "LinearCrossEntropyOptions",
    "loss": "L1Loss NLLLoss NLLLoss2d PoissonNLLLoss GaussianNLLLoss KLDivLoss MSELoss BCELoss "
    "BCEWithLogitsLoss HingeEmbeddingLoss MultiLabelMarginLoss SmoothL1Loss HuberLoss "
    "SoftMarginLoss CrossEntropyLoss LinearCrossEntropyLoss MultiLabelSoftMarginLoss "
    "CosineEmbeddingLoss MarginRankingLoss MultiMarginLoss TripletMarginLoss "
    "TripletMarginWithDistanceLoss CTCLoss",
}


def attach(package, names, submodules=()):
    """The functions ``__getattr__`` and ``__dir__`` for a package, and the list of its names.

    Args:
        package (dict): the package's ``globals()``.
        names (dict): relative module -> blank-separated names that it provides.
        submodules (iterable of str): modules that are attributes of the package themselves.
    """
    base = package["__name__"]
    where = {name: module for module, text in names.items() for name in text.split()}
    submodules = frozenset(submodules)
    public = sorted(n for n in (*where, *submodules) if not n.startswith("_"))

    def __getattr__(name):
        if name in where:
            value = getattr(__import__(f"{base}.{where[name]}", fromlist=("*",)), name)
        elif name in submodules:
            value = __import__(f"{base}.{name}", fromlist=("*",))
        else:
            raise AttributeError(f"module '{base}' has no attribute '{name}'")
        package[name] = value
        return value

    def __dir__():
        return sorted({*package, *where, *submodules})

    return __getattr__, __dir__, public
